{{/*
Files of rules and pages have a token wherever a value of the chart goes: the path of the value and the form in which it stands
there, between pairs of at signs. See k8s/parametric.py, which makes them.
*/}}

{{/* A file with its tokens replaced. Takes (root, path). */}}
{{- define "ml-monitoring.filled" -}}
{{- $text := .root.Files.Get .path -}}
{{- $numbers := .root.Files.Get "files/numbers.json" | fromJson -}}
{{- range regexFindAll "@@[^@]+@@" $text -1 | uniq -}}
{{- $value := include "ml-monitoring.value" (dict "root" $.root "numbers" $numbers "name" (trimAll "@" .)) -}}
{{- if contains "|scaled:" . -}}
{{- $text = replace (printf "%q" .) $value $text -}}
{{- else -}}
{{- $text = replace . ($value | toJson | trimPrefix "\"" | trimSuffix "\"") $text -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* What a token stands for. Takes (root, numbers, name). */}}
{{- define "ml-monitoring.value" -}}
{{- $parts := splitList "|" .name -}}
{{- $path := splitList "." (first $parts) -}}
{{- $form := last $parts -}}
{{- if eq (first $path) "selectors" -}}
{{- include "ml-monitoring.selector" (dict "root" .root "numbers" .numbers "name" (last $path)) -}}
{{- else if eq (first $path) "links" -}}
{{- include "ml-monitoring.link" (dict "root" .root "name" (last $path)) -}}
{{- else if eq (first $path) "unless_on" -}}
{{- $on := false -}}
{{- range splitList "+" (last $path) -}}{{- $on = or $on (get $.root.Values.components .) -}}{{- end -}}
{{- if not $on -}}{{- .numbers.not_watched -}}{{- end -}}
{{- else -}}
{{- $given := get .root.Values.alerts (index $path 1) | default dict -}}
{{- if eq (index $path 2) "parameters" -}}{{- $given = get $given "parameters" | default dict -}}{{- end -}}
{{- $changed := hasKey $given (last $path) -}}
{{- $value := $changed | ternary (get $given (last $path)) (get .numbers (first $parts)) -}}
{{- if eq $form "number" -}}
{{- include "ml-monitoring.number" $value -}}
{{- else if hasPrefix "scaled:" $form -}}
{{- round (mulf (trimPrefix "scaled:" $form | float64) (include "ml-monitoring.number" $value | float64)) 6 -}}
{{- else if not (hasPrefix "spread:" $form) -}}
{{- $value | toString | replace "\\" "\\\\" | replace "\"" "\\\"" -}}
{{- else if $changed -}}
{{- $number := include "ml-monitoring.number" $value -}}
{{- printf "%s * (%s * (1 - %s)) ^ 0.5" (trimPrefix "spread:" $form) $number $number -}}
{{- else -}}
{{- get .numbers .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A number, of a duration its seconds. */}}
{{- define "ml-monitoring.number" -}}
{{- $number := . -}}
{{- if kindIs "string" . -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 "w" 604800.0 "y" 31536000.0 -}}
{{- $number = 0.0 -}}
{{- range regexFindAll "[0-9]+(ms|[smhdwy])" . -1 -}}
{{- $number = addf $number (mulf (regexFind "^[0-9]+" . | float64) (get $units (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- end -}}
{{- if eq (floor $number) (float64 $number) -}}{{- int64 $number -}}{{- else -}}{{- $number -}}{{- end -}}
{{- end -}}

{{/* Matchers of a program's targets; of all that are watched, the expression for them. Takes (root, numbers, name). */}}
{{- define "ml-monitoring.selector" -}}
{{- $all := merge (deepCopy .root.Values.selectors) .numbers.selectors -}}
{{- if eq .name "own_alerts" -}}
{{- printf "team=~%q" (join "|" .numbers.teams) -}}
{{- else if eq .name "targets" -}}
{{- $programs := list "exporter" "alertlog" -}}
{{- range $component, $names := .numbers.components -}}
{{- if get $.root.Values.components $component -}}{{- $programs = concat $programs $names -}}{{- end -}}
{{- end -}}
{{- $targets := list -}}
{{- range $programs -}}{{- $targets = append $targets (printf "up{%s}" (get $all .)) -}}{{- end -}}
{{- join "\nor\n" $targets -}}
{{- else if eq .name "service_targets" -}}
{{- concat (list (printf "up{%s}" (default "job=\"\"" (get $all "services")))) .numbers.jobs | join "\nor\n" -}}
{{- else -}}
{{- get $all .name -}}
{{- end -}}
{{- end -}}

{{/* Where links lead. Takes (root, name). */}}
{{- define "ml-monitoring.link" -}}
{{- $stack := .root.Values.kubePrometheusStack -}}
{{- $defaults := dict
  "grafana" (printf "http://%s-grafana.%s.svc" ($stack.release | default "kube-prometheus-stack") $stack.namespace)
  "runbooks" (printf "%s/runbooks" (include "ml-monitoring.exporterUrl" .root))
  "logs" "" -}}
{{- get .root.Values.links .name | default (get $defaults .name) | trimSuffix "/" -}}
{{- end -}}
