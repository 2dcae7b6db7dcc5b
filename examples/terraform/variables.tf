variable "generated" {
  description = "Folder that holds dashboards/ (of `ml-monitoring dashboards generate`) and alerting/ (of `ml-monitoring alerts grafana`)."
  type        = string
  default     = "generated"
}

variable "folder_prefix" {
  description = "What the titles of all folders begin with."
  type        = string
  default     = "ML monitoring / "
}

variable "datasource_uid" {
  description = "uid of the Prometheus that Grafana has already; null makes one of prometheus_url."
  type        = string
  default     = null
}

variable "prometheus_url" {
  description = "Prometheus or Mimir, as Grafana reaches it; only where datasource_uid is null."
  type        = string
  default     = "http://127.0.0.1:9090"
}

variable "alerts" {
  description = "Whether Grafana evaluates the alerts; false where Prometheus or the ruler of Mimir does."
  type        = bool
  default     = false
}
