# The images that a release publishes, for both kinds of machines, each with a bill of materials and the record of its build:
#   make images REGISTRY=registry.example.org VERSION=1.2.0 PUSH=1
# which is `docker buildx bake --file docker/docker-bake.hcl --push` with the variables below, run at the top of the repository.
# Several platforms at once, SBOM and provenance need a builder that can: `docker buildx create --use`.
variable "VERSION" {
  default = "0.3.0.dev0"
}

# Of the commit: its hash, and its time as RFC 3339.
variable "REVISION" {
  default = ""
}

variable "CREATED" {
  default = ""
}

# Where the images go, such as registry.example.org; empty for names without a registry.
variable "REGISTRY" {
  default = ""
}

# The same value as in docker/versions.env, which `make images` passes.
variable "PYTHON_IMAGE" {
  default = "python:3.13-slim-trixie"
}

function "name" {
  params = [image]
  result = "${notequal(REGISTRY, "") ? "${REGISTRY}/" : ""}ml-monitoring/${image}"
}

function "tags" {
  params = [image]
  result = ["${name(image)}:${VERSION}", "${name(image)}:latest"]
}

group "default" {
  targets = ["exporter"]
}

# `make images BAKE_ARGS=all` builds the demo's as well.
group "all" {
  targets = ["exporter", "demo"]
}

target "_common" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  args = {
    PYTHON_IMAGE = PYTHON_IMAGE
    REVISION     = REVISION
  }
  labels = {
    "org.opencontainers.image.created"   = CREATED
    "org.opencontainers.image.revision"  = REVISION
    "org.opencontainers.image.version"   = VERSION
    "org.opencontainers.image.base.name" = PYTHON_IMAGE
  }
  attest = [
    "type=provenance,mode=max",
    "type=sbom",
  ]
}

# Labels are those of the Dockerfile. Annotations say the same of the index, which registries show; a test compares them.
target "exporter" {
  inherits   = ["_common"]
  dockerfile = "docker/exporter.Dockerfile"
  tags       = tags("exporter")
  annotations = [
    "index,manifest:org.opencontainers.image.title=ml-monitoring",
    "index,manifest:org.opencontainers.image.description=Prometheus exporter for MLflow, model variants and fleets, with its alerts and alert log",
    "index,manifest:org.opencontainers.image.source=https://ml-monitoring.example/ml-monitoring",
    "index,manifest:org.opencontainers.image.licenses=Apache-2.0",
    "index,manifest:org.opencontainers.image.version=${VERSION}",
    "index,manifest:org.opencontainers.image.revision=${REVISION}",
    "index,manifest:org.opencontainers.image.created=${CREATED}",
  ]
}

target "demo" {
  inherits   = ["_common"]
  dockerfile = "docker/demo.Dockerfile"
  tags       = tags("demo")
  annotations = [
    "index,manifest:org.opencontainers.image.title=ml-monitoring demo",
    "index,manifest:org.opencontainers.image.description=Demo data and services for ml-monitoring, with an MLflow server",
    "index,manifest:org.opencontainers.image.source=https://ml-monitoring.example/ml-monitoring",
    "index,manifest:org.opencontainers.image.licenses=Apache-2.0",
    "index,manifest:org.opencontainers.image.version=${VERSION}",
    "index,manifest:org.opencontainers.image.revision=${REVISION}",
    "index,manifest:org.opencontainers.image.created=${CREATED}",
  ]
}
