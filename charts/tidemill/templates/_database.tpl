{{/* Logins and the Secrets that hold them. */}}

{{/* Name of the Secret of a login. Call with (list $ "app" | "owner" | "operator"). */}}
{{- define "tidemill.secretOf" -}}
{{- $database := (index . 0).Values.database -}}
{{- $login := index . 1 -}}
{{- $given := (index $database $login).existingSecret -}}
{{- if $given -}}
{{ $given }}
{{- else if eq $database.mode "external" -}}
{{ required "database.app.existingSecret must name a Secret with the key url (database.mode is external)" $database.app.existingSecret }}
{{- else if eq $login "app" -}}
{{ $database.secretName }}
{{- else -}}
{{ $database.secretName }}-{{ $login }}
{{- end -}}
{{- end }}

{{- define "tidemill.bundled" -}}
{{- if eq .Values.database.mode "bundled" }}true{{ end -}}
{{- end }}

{{- define "tidemill.postgres" -}}
{{ include "tidemill.fullname" . }}-postgres
{{- end }}

{{/* The password that a Secret already holds, else a new one. Call with (list $ "secret-name"). */}}
{{- define "tidemill.password" -}}
{{- $known := lookup "v1" "Secret" (index . 0).Release.Namespace (index . 1) -}}
{{- if and $known $known.data $known.data.password -}}
{{ $known.data.password | b64dec }}
{{- else -}}
{{ randAlphaNum 32 }}
{{- end -}}
{{- end }}
