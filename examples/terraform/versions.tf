terraform {
  required_version = ">= 1.5"
  required_providers {
    grafana = {
      source  = "grafana/grafana"
      version = ">= 3.0, < 5.0"
    }
  }
}

# For Grafana Cloud and for a Grafana of your own: GRAFANA_URL and GRAFANA_AUTH (a token of a service account with the role
# Admin) are read from the environment, so that no secret stands in a file or in the state.
provider "grafana" {}
