#!/bin/sh
# Make the secrets that are missing; what is there stays as it is.
#   docker/make-secrets.sh [FOLDER]     default: docker/secrets beside this script
#
# Compose mounts each file into its container with owner and mode as they are here, and the containers' users are not
# root. So the files can be read by all, and the folder, which containers never see, by its owner only.
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

# write NAME VALUE: whole or not at all, without a newline that could become part of a password.
write() {
    printf '%s' "$2" > "$folder/$1.part"
    chmod 444 "$folder/$1.part"
    mv "$folder/$1.part" "$folder/$1"
    echo "made $folder/$1"
}

# 32 letters and digits, about 190 bits; no signs that would need quoting in a URI.
random() {
    LC_ALL=C tr -dc 'A-Za-z0-9' < /dev/urandom | head -c 32
}

for name in postgres_password mlflow_password mlflow_writer_password variants_password variants_writer_password \
    exporter_password grafana_reader_password monitor_password grafana_admin_password grafana_secret_key renderer_token; do
    [ -e "$folder/$name" ] || write "$name" "$(random)"
done
# For the passwords of Alertmanager's channels, which only you know, and what it posts to the alert log with.
mkdir -p "$folder/channels"
chmod 755 "$folder/channels"
[ -e "$folder/channels/alertlog_token" ] || write channels/alertlog_token "$(random)"
# What was written by hand, whatever the umask was; the authority's key is nobody else's.
find "$folder" -type f ! -name ca_key ! -perm -004 -exec chmod o+r {} +
# uri NAME ROLE DATABASE
uri() {
    [ -e "$folder/$1" ] || write "$1" "postgresql://$2:$(cat "$folder/$2_password")@postgres:5432/$3"
}
# What the exporter reads. Where MLflow's store or the variants are somewhere else, write their URI here instead.
uri mlflow_uri exporter mlflow
uri variants_uri exporter variants
# For those who write.
uri variants_writer_uri variants_writer variants
# SQLAlchemy, which MLflow uses, wants the driver's name.
[ -e "$folder/mlflow_owner_uri" ] ||
    write mlflow_owner_uri "postgresql+psycopg2://mlflow:$(cat "$folder/mlflow_password")@postgres:5432/mlflow"
[ -e "$folder/mlflow_writer_uri" ] ||
    write mlflow_writer_uri \
        "postgresql+psycopg2://mlflow_writer:$(cat "$folder/mlflow_writer_password")@postgres:5432/mlflow"
