#!/bin/sh
# Make the certificates of the overlay `tls` where they are missing or end within 30 days: an authority of this
# deployment's own, and a certificate that it signs for the exporter.
#   docker/make-certificates.sh [FOLDER]     default: docker/secrets beside this script
set -eu
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

# keep FILE NAME MODE: into the same file as before, which running containers have mounted.
keep() {
    [ ! -e "$folder/$2" ] || chmod 644 "$folder/$2"
    cat "$1" > "$folder/$2"
    chmod "$3" "$folder/$2"
    echo "made $folder/$2"
}

ends_soon() {
    ! openssl x509 -checkend 2592000 -noout -in "$folder/$1" > /dev/null 2>&1
}

signed() {
    openssl verify -CAfile "$folder/ca_certificate" "$folder/exporter_certificate" > /dev/null 2>&1
}

if ends_soon ca_certificate; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
        -subj "/CN=ml-monitoring authority" -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout "$work/ca.key" -out "$work/ca.crt" 2> "$work/log" ||
        { cat "$work/log" >&2; exit 1; }
    # Needed for renewals only; no container gets it.
    keep "$work/ca.key" ca_key 400
    keep "$work/ca.crt" ca_certificate 444
fi
# What an earlier authority has signed is nothing any more.
if ! signed || ends_soon exporter_certificate; then
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=exporter" \
        -keyout "$work/exporter.key" -out "$work/exporter.csr" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
    # All of what strict verifiers, such as Python's since 3.13, ask for.
    printf '%s\n' "subjectAltName=DNS:exporter,DNS:localhost,IP:127.0.0.1" "extendedKeyUsage=serverAuth" \
        "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
        "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" > "$work/extensions"
    openssl x509 -req -in "$work/exporter.csr" -CA "$folder/ca_certificate" -CAkey "$folder/ca_key" -days 397 \
        -extfile "$work/extensions" -out "$work/exporter.crt" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
    keep "$work/exporter.key" exporter_key 444
    keep "$work/exporter.crt" exporter_certificate 444
fi
