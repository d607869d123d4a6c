{{- define "penstock.name" -}}
{{- if contains "penstock" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-penstock" (.Release.Name | trunc 31 | trimSuffix "-") }}{{ end -}}
{{- end -}}

{{/* What selects a component's pods: (list $ "gateway") or (list $ "backend" NAME). */}}
{{- define "penstock.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
penstock.dev/backend: {{ index . 2 }}
{{- end }}
{{- end -}}

{{- define "penstock.labels" -}}
{{- $root := index . 0 -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* The image called so: (list $ "gateway"). */}}
{{- define "penstock.image" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end }}penstock-{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}

{{/* What all pods have in common. */}}
{{- define "penstock.pod" -}}
serviceAccountName: {{ include "penstock.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  # Volumes, mounted secrets among them, are readable by this group.
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "penstock.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Apart over nodes and zones, as far as there are enough of them: (list $ "gateway"). Pods of one
     revision are counted, so that a rolling update isn't held up by those it replaces. */}}
{{- define "penstock.spread" -}}
{{- $selector := include "penstock.selector" . -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" -}}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{ end -}}
{{- end -}}

{{/* penstock.yaml: what the chart says, over what the values say. */}}
{{- define "penstock.config" -}}
{{- $gateway := .Values.gateway -}}
{{- range list (list "limits" "drainTimeout" "gateway.drainSeconds") (list "discovery" "allowedNetworks" "podNetworks") (list "audit" "folder" "gateway.auditClaim") -}}
{{- if hasKey (get $.Values.config (index . 0) | default dict) (index . 1) -}}
{{- fail (printf "config.%s.%s is the chart's to say: set %s" (index . 0) (index . 1) (index . 2)) -}}
{{- end -}}
{{- end -}}
{{- $tls := dict -}}
{{- if $gateway.tlsSecret -}}
{{- $tls = dict "tls" (dict "certificate" "/etc/penstock/tls/tls.crt" "key" "/etc/penstock/tls/tls.key") -}}
{{- end -}}
{{- $own := dict
  "apiVersion" "penstock/v1"
  "kind" "Penstock"
  "workers" ($gateway.workers | int)
  "stateFolder" "/var/lib/penstock"
  "routes" "/etc/penstock/routes"
  "listeners" (dict
    "http" (merge (dict "address" "0.0.0.0:8000") $tls)
    "grpc" (merge (dict "address" "0.0.0.0:8001") $tls)
    "admin" (merge (dict "address" "0.0.0.0:8002") $tls)
    "discovery" (merge (dict "address" "0.0.0.0:8003") $tls))
  "limits" (dict "drainTimeout" (printf "%ds" ($gateway.drainSeconds | int)))
  "discovery" (dict "allowedNetworks" .Values.podNetworks)
-}}
{{- if $gateway.auditClaim -}}
{{- $own = mergeOverwrite $own (dict "audit" (dict "folder" "/var/log/penstock/audit")) -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end -}}

{{/* What lets a pod reach the collector of traces, wherever it is. */}}
{{- define "penstock.collector.egress" -}}
{{- with dig "telemetry" "collector" "endpoint" "" .Values.config -}}
- ports: [{port: {{ regexFind ":[0-9]+$" . | trimPrefix ":" | default "443" }}, protocol: TCP}]
{{- end -}}
{{- end -}}

{{/* The collector's files by what options of backends call them: what each secret is, and its key. */}}
{{- define "penstock.collector.files" -}}
{{- $collector := dig "telemetry" "collector" dict .Values.config | default dict -}}
{{- $tls := $collector.tls | default dict -}}
{{- $files := dict -}}
{{- range $option, $path := dict "ca" $tls.ca "certificate" $tls.certificate "key" $tls.key "headers-file" $collector.headersFile -}}
{{- if $path -}}
{{- $place := regexFind "^/etc/penstock/secrets/[^/]+/[^/]+$" $path | required (printf "config.telemetry.collector: %s is no /etc/penstock/secrets/SECRET/KEY" $path) -}}
{{- $_ := set $files $option (dict "secret" (dir $place | base) "key" (base $place)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* Threads of a backend: what it says, else 1 beside a GPU, else its CPUs, rounded up. The process
     itself sees the node's. */}}
{{- define "penstock.threads" -}}
{{- $resources := .resources | default dict -}}
{{- $cpu := dig "limits" "cpu" (dig "requests" "cpu" "1" $resources) $resources | toString -}}
{{- $cores := ternary (divf (trimSuffix "m" $cpu) 1000) $cpu (hasSuffix "m" $cpu) -}}
{{- .threads | default (ternary 1 (max 1 (ceil $cores | int)) (gt (dig "gpu" "count" 0 . | int) 0)) -}}
{{- end -}}
