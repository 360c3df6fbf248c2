#!/bin/sh
# A small certificate authority for the connections between a cloud's parts: needs openssl 3 (Debian 12), keeps all in FOLDER.
#   certificates.sh FOLDER                       makes the authority: ca.pem, for all machines, and ca.key, which stays where it is
#   certificates.sh FOLDER NAME ADDRESS...       makes NAME.pem and NAME.pem.key for these names and IP addresses
# Repeating the second makes a new certificate with a new key; the authority stays.
set -eu
umask 077
folder=${1:?usage: certificates.sh FOLDER [NAME ADDRESS...]}
AUTHORITY_DAYS=3650 DAYS=825
KEY="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc"
mkdir -p "$folder"
cd "$folder"
if [ ! -e ca.key ]; then
  openssl req $KEY -x509 -days $AUTHORITY_DAYS -subj "/CN=Kilonova" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem
  chmod 644 ca.pem
fi
[ $# -gt 1 ] || exit 0
name=$2
shift 2
[ $# -gt 0 ] || set -- "$name"
names=
for address in "$@"; do
  case $address in
    *:* | *[0-9].*[0-9].*[0-9].*[0-9]) kind=IP ;;
    *) kind=DNS ;;
  esac
  names=$names${names:+,}$kind:$address
done
openssl req $KEY -x509 -CA ca.pem -CAkey ca.key -days $DAYS -subj "/CN=$name" -addext "subjectAltName=$names" \
  -addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature" \
  -addext "extendedKeyUsage=serverAuth,clientAuth" -keyout "$name.pem.key" -out "$name.pem"
chmod 644 "$name.pem"
