{{/* Where the keys of a Secret are mounted. */}}
{{- define "ml-monitoring.secretDir" -}}
/run/secrets/ml-monitoring/{{ . }}
{{- end -}}

{{/* The exporter's settings: those of the values with the stores laid over them. */}}
{{- define "ml-monitoring.settings" -}}
{{- $settings := deepCopy .Values.exporter.settings -}}
{{- $sources := deepCopy ($settings.sources | default dict) -}}
{{- range $index, $store := .Values.exporter.stores -}}
{{- $section := deepCopy ($store.settings | default dict) -}}
{{- range $setting, $key := $store.secretKeys | default dict -}}
{{- $_ := set $section (printf "%s_file" $setting) (printf "%s/%s" (include "ml-monitoring.secretDir" $store.existingSecret) $key) -}}
{{- end -}}
{{- if and (not $section) (ne $store.kind "containers") -}}
{{- fail (printf "exporter.stores[%d]: nothing says where the store is: give existingSecret and secretKeys, or settings" $index) -}}
{{- end -}}
{{- if and (has $store.kind (list "mlflow" "variants" "queries")) (not (or $.Values.exporter.extraEnv $.Values.exporter.extraEnvFrom)) -}}
{{- if not (or (hasKey $section "uri") (hasKey $section "uri_file") (hasKey $section "store")) -}}
{{- fail (printf "exporter.stores[%d]: nothing says which database: give existingSecret and secretKeys: {uri: KEY}%s" $index (eq $store.kind "queries" | ternary ", or settings: {store: mlflow}" "")) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int $.Values.exporter.shards) 1) (eq $store.kind "mlflow") -}}
{{- $_ := set $section "shard" (dict "index" "${SHARD_INDEX}" "count" (int $.Values.exporter.shards)) -}}
{{- end -}}
{{- if $store.name -}}
{{- $named := get $sources $store.kind | default dict -}}
{{- if hasKey $named $store.name -}}
{{- fail (printf "exporter.stores[%d]: there are two stores of kind %s and name %s" $index $store.kind $store.name) -}}
{{- end -}}
{{- $_ := set $sources $store.kind (merge (dict $store.name $section) $named) -}}
{{- else -}}
{{- if hasKey $sources $store.kind -}}
{{- fail (printf "exporter.stores[%d]: there is another store of kind %s: give each of them a name" $index $store.kind) -}}
{{- end -}}
{{- $_ := set $sources $store.kind $section -}}
{{- end -}}
{{- end -}}
{{- if not $sources -}}
{{- fail "exporter.stores is empty: the exporter would read nothing; name its stores, or sources in exporter.settings" -}}
{{- end -}}
{{- $web := merge (dict "host" "0.0.0.0" "port" 9847) ($settings.web | default dict) -}}
{{- if .Files.Glob "files/runbooks/*.md" -}}
{{- $web = merge $web (dict "runbooks_dir" "/etc/ml-monitoring") -}}
{{- end -}}
{{- if .Values.exporter.tls.existingSecret -}}
{{- if hasKey $web "config_file" -}}
{{- fail "exporter.tls.existingSecret and exporter.settings.web.config_file exclude each other" -}}
{{- end -}}
{{- $_ := set $web "config_file" "/etc/ml-monitoring/web.yml" -}}
{{- end -}}
{{- toYaml (merge (dict "web" $web "sources" $sources) $settings) -}}
{{- end -}}

{{- define "ml-monitoring.exporterPod" -}}
{{- $name := include "ml-monitoring.fullname" . -}}
metadata:
  labels:
    {{- merge (include "ml-monitoring.labels" (dict "root" . "component" "exporter") | fromYaml) .Values.exporter.podLabels | toYaml | nindent 4 }}
  annotations:
    # A change of the settings is a new pod: they are read when it starts.
    ml-monitoring/settings: {{ include "ml-monitoring.settings" . | sha256sum | trunc 16 | quote }}
    {{- with .Values.exporter.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "ml-monitoring.pod" (dict "root" . "values" .Values.exporter "name" $name) | nindent 2 }}
  containers:
    - name: exporter
      image: {{ include "ml-monitoring.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- if or .Values.exporter.extraEnv (gt (int .Values.exporter.shards) 1) }}
      env:
        {{- if gt (int .Values.exporter.shards) 1 }}
        - name: SHARD_INDEX
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
        {{- end }}
        {{- with .Values.exporter.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with .Values.exporter.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports: [{name: http, containerPort: 9847, protocol: TCP}]
      {{- include "ml-monitoring.probes" (dict "failures" 30 "scheme" (include "ml-monitoring.scheme" .)) | nindent 6 }}
      {{- with .Values.exporter.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - {name: settings, mountPath: /etc/ml-monitoring, readOnly: true}
        {{- if .Values.exporter.tls.existingSecret }}
        - {name: tls, mountPath: /run/secrets/tls, readOnly: true}
        {{- end }}
        {{- range $index, $secret := include "ml-monitoring.secrets" . | fromYamlArray }}
        - {name: secrets-{{ $index }}, mountPath: {{ include "ml-monitoring.secretDir" $secret }}, readOnly: true}
        {{- end }}
        {{- with .Values.exporter.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: settings
      configMap: {name: {{ $name }}}
    {{- with .Values.exporter.tls.existingSecret }}
    - name: tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- range $index, $secret := include "ml-monitoring.secrets" . | fromYamlArray }}
    - name: secrets-{{ $index }}
      # Readable by the group that the pod's fsGroup sets.
      secret: {secretName: {{ $secret }}, defaultMode: 0440}
    {{- end }}
    {{- with .Values.exporter.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The Secrets of the stores, each once. */}}
{{- define "ml-monitoring.secrets" -}}
{{- $names := list -}}
{{- range .Values.exporter.stores -}}
{{- if .secretKeys -}}{{- $names = append $names (required (printf "exporter.stores: secretKeys of %s need existingSecret" .kind) .existingSecret) -}}{{- end -}}
{{- end -}}
{{- uniq $names | toYaml -}}
{{- end -}}
