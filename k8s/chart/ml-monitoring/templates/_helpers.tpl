{{/* Name of all objects. */}}
{{- define "ml-monitoring.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What pods are found by; never to be changed, since a workload's selector cannot be. Takes (root, component). */}}
{{- define "ml-monitoring.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object; with a component, those of what belongs to it. */}}
{{- define "ml-monitoring.labels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The label that kube-prometheus-stack selects by, and others. Takes (root, labels). */}}
{{- define "ml-monitoring.operatorLabels" -}}
{{- $labels := deepCopy .labels -}}
{{- with .root.Values.kubePrometheusStack.release -}}{{- $labels = merge $labels (dict "release" .) -}}{{- end -}}
{{- with $labels -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{- define "ml-monitoring.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry -}}{{ . }}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "ml-monitoring.serviceAccountName" -}}
{{- if .root.Values.serviceAccount.create -}}{{ .name }}{{- else -}}{{ .root.Values.serviceAccount.name | default "default" }}{{- end -}}
{{- end -}}

{{/* What the pods of exporter and alert log have in common. Takes (root, values, name). */}}
{{- define "ml-monitoring.pod" -}}
serviceAccountName: {{ include "ml-monitoring.serviceAccountName" . }}
automountServiceAccountToken: false
# Kubernetes' variables for the Service (ML_MONITORING_PORT=tcp://...) look like settings.
enableServiceLinks: false
terminationGracePeriodSeconds: 30
{{- with .root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" }}
{{- with get $.values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Probes: healthy means that the server answers; a source that cannot be read is no reason to restart it.
Takes (failures, scheme). */}}
{{- define "ml-monitoring.probes" -}}
{{- $get := "{path: /-/" -}}
{{- $port := printf ", port: http%s}" (eq .scheme "https" | ternary ", scheme: HTTPS" "") -}}
startupProbe:
  httpGet: {{ $get }}healthy{{ $port }}
  timeoutSeconds: 4
  periodSeconds: 2
  failureThreshold: {{ .failures }}
livenessProbe:
  httpGet: {{ $get }}healthy{{ $port }}
  timeoutSeconds: 4
  periodSeconds: 10
  failureThreshold: 3
readinessProbe:
  httpGet: {{ $get }}ready{{ $port }}
  timeoutSeconds: 4
  periodSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* Who may come in: Prometheus and Alertmanager, and the pod of `helm test`. */}}
{{- define "ml-monitoring.ingress" -}}
- from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .Values.kubePrometheusStack.namespace }}}}
    - podSelector:
        matchLabels:
          {{- include "ml-monitoring.selectorLabels" (dict "root" . "component" "test") | nindent 10 }}
    {{- with .Values.networkPolicy.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports: [{protocol: TCP, port: http}]
{{- end -}}

{{/* What the exporter speaks. */}}
{{- define "ml-monitoring.scheme" -}}
{{- empty .Values.exporter.tls.existingSecret | ternary "http" "https" -}}
{{- end -}}

{{/* The exporter's address in the cluster. */}}
{{- define "ml-monitoring.exporterUrl" -}}
{{- printf "%s://%s.%s.svc:%v" (include "ml-monitoring.scheme" .) (include "ml-monitoring.fullname" .) .Release.Namespace .Values.exporter.service.port -}}
{{- end -}}

{{/* The alert log's address in the cluster. */}}
{{- define "ml-monitoring.alertlogUrl" -}}
{{- $scheme := empty .Values.alertlog.tls.existingSecret | ternary "http" "https" -}}
{{- printf "%s://%s-alertlog.%s.svc:%v" $scheme (include "ml-monitoring.fullname" .) .Release.Namespace .Values.alertlog.service.port -}}
{{- end -}}

{{/* How a server's certificate is verified, as the Operator takes it; empty for plain HTTP. Takes (root, component). */}}
{{- define "ml-monitoring.tlsConfig" -}}
{{- $tls := (get .root.Values .component).tls -}}
{{- if $tls.existingSecret -}}
{{- $name := printf "%s%s.%s.svc" (include "ml-monitoring.fullname" .root) (eq .component "alertlog" | ternary "-alertlog" "") .root.Release.Namespace -}}
{{- $config := dict "serverName" ($tls.serverName | default $name) -}}
{{- with $tls.caKey -}}{{- $_ := set $config "ca" (dict "secret" (dict "name" $tls.existingSecret "key" .)) -}}{{- end -}}
{{- toYaml $config -}}
{{- end -}}
{{- end -}}
