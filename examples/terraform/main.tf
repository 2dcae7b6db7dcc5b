resource "grafana_data_source" "prometheus" {
  count = var.datasource_uid == null ? 1 : 0

  name = "ML monitoring Prometheus"
  type = "prometheus"
  uid  = "ml-monitoring-prometheus"
  url  = var.prometheus_url
  json_data_encoded = jsonencode({
    httpMethod   = "POST"
    timeInterval = "15s"
  })
}

locals {
  datasource_uid = var.datasource_uid == null ? grafana_data_source.prometheus[0].uid : var.datasource_uid
}

resource "grafana_folder" "pages" {
  for_each = local.folders

  title = "${var.folder_prefix}${each.key}"
  uid   = "ml-monitoring-${lower(each.key)}"
}

resource "grafana_dashboard" "pages" {
  for_each = local.pages

  folder      = grafana_folder.pages[each.value.folder].uid
  config_json = file(each.value.path)
  overwrite   = true
}

resource "grafana_folder" "alerts" {
  count = var.alerts ? 1 : 0

  title = "${var.folder_prefix}alerts"
  uid   = "ml-monitoring-alerts"
}

# Rules alone: `ml-monitoring dashboards push-alerts` brings contact points, templates and policies, of which Grafana has one
# tree for everybody.
resource "grafana_rule_group" "alerts" {
  for_each = local.groups

  name             = each.key
  folder_uid       = grafana_folder.alerts[0].uid
  interval_seconds = tonumber(trimsuffix(each.value.interval, "s"))

  dynamic "rule" {
    for_each = each.value.rules
    content {
      uid            = rule.value.uid
      name           = rule.value.title
      condition      = rule.value.condition
      for            = rule.value.for
      no_data_state  = rule.value.noDataState
      exec_err_state = rule.value.execErrState
      labels         = rule.value.labels
      annotations    = rule.value.annotations

      dynamic "data" {
        for_each = rule.value.data
        content {
          ref_id         = data.value.refId
          datasource_uid = data.value.datasourceUid == "__expr__" ? "__expr__" : local.datasource_uid
          model = jsonencode(merge(data.value.model, {
            datasource = data.value.datasourceUid == "__expr__" ? data.value.model.datasource : {
              type = "prometheus"
              uid  = local.datasource_uid
            }
          }))
          relative_time_range {
            from = data.value.relativeTimeRange.from
            to   = data.value.relativeTimeRange.to
          }
        }
      }
    }
  }
}
