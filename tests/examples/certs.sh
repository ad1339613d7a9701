#!/usr/bin/env bash
# Makes a CA and certificates for tests in a folder.   tests/examples/certs.sh FOLDER
#
# ca; server and expired, for redis.example and localhost; client; stranger: as server, of another CA of the same name.
set -euo pipefail
cd "$1"

authority() { # NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.crt" -days 30 \
        -subj "/CN=test CA"
}

signed() { # NAME AUTHORITY SUBJECT DAYS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$3"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -set_serial "$((RANDOM + 1))" -out "$1.crt" \
        -extfile <(echo "subjectAltName=DNS:$3,DNS:localhost,IP:127.0.0.1") "${@:4}"
}

authority ca
authority other
signed server ca redis.example -days 30
signed client ca client -days 30
signed stranger other redis.example -days 30
# A day that has gone by: x509 -req of OpenSSL 3.0 cannot begin in the past, ca can.
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout expired.key -out expired.csr \
    -subj "/CN=redis.example"
mkdir -p issued
touch issued/index
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=issued/index\nnew_certs_dir=issued\nrand_serial=yes\ndefault_md=sha256
policy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=DNS:redis.example\n' >issued/conf
openssl ca -batch -config issued/conf -cert ca.crt -keyfile ca.key -in expired.csr -out expired.crt -notext \
    -startdate 20200101000000Z -enddate 20200102000000Z
