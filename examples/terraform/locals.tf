locals {
  # Dashboards by their uid; the folder that a file lies in is the one of Grafana.
  pages = {
    for path in fileset("${var.generated}/dashboards", "*/*.json") :
    trimsuffix(basename(path), ".json") => {
      folder = dirname(path)
      path   = "${var.generated}/dashboards/${path}"
    }
  }
  folders = toset([for page in local.pages : page.folder])

  # The rules as `ml-monitoring alerts grafana` writes them for provisioning.
  rules_file = "${var.generated}/alerting/ml-monitoring-rules.yaml"
  groups     = var.alerts ? { for group in yamldecode(file(local.rules_file)).groups : group.name => group } : {}
}
