#!/bin/sh
# Makes the secrets of compose.yaml in the folder $1, once, and tokens anew at every start.
set -eu
umask 027
folder=$1

# Readable by the group that all of Penstock runs as; nobody else is let in.
secret() {
  if [ ! -e "$folder/$1" ]; then
    head -c 32 /dev/urandom | base64 | tr -d '\n=' | tr '+/' '-_' > "$folder/.$1"
    mv "$folder/.$1" "$folder/$1"
  fi
}

for each in signing api-keys cache privacy audit decisions postgres redis grafana; do secret "$each"; done
chmod 0600 "$folder/signing"

token() {
  penstock token --config "$CONFIG" --tenant mesh --subject "$1" --scope "$2" --lifetime 365d > "$folder/.$1"
  mv "$folder/.$1" "$folder/$1"
}

CONFIG=${PENSTOCK_CONFIG:-/etc/penstock/config/penstock.yaml}
token join-token backend:join
token metrics-token metrics

chmod 0640 "$folder"/*
if [ "$(id -u)" = 0 ] && [ -d /srv ]; then
  # Root's, and so not to be changed by those who read them.
  chgrp -R 10001 "$folder"
  chmod 0750 "$folder"
  chown 10001:10001 /srv
fi
