// Alerts, recording rules and pages of ml-monitoring. What can be set is in config.libsonnet:
//
//   (import 'ml-monitoring/mixin/mixin.libsonnet') + {
//     _config+:: {
//       clusterLabel: 'k8s_cluster',
//       selectors+: { exporter: 'job="ml-monitoring",namespace="ml"' },
//       alerts+: { MlflowRunHanging+: { threshold: '3d', severity: 'warning' } },
//     },
//   }
(import 'config.libsonnet') + {
  local values = (import 'values.libsonnet')($._config),

  prometheusRules+:: { groups+: values.groups((import 'rules.libsonnet')(values)) },
  prometheusAlerts+:: { groups+: values.groups((import 'alerts.libsonnet')(values)) },
  grafanaDashboards+:: values.pages((import 'dashboards.libsonnet')(values)),
  // Grafana's folder of each page.
  grafanaDashboardFolders+:: (import 'folders.libsonnet'),
}
