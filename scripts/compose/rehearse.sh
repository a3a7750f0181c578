#!/bin/sh
# For trying it out: the admin takes over, accredits both clinics, and each opens its access log.
set -eu

medproof deploy accept --keystore /keys/admin.json --password-file /run/secrets/admin-password --yes
for clinic in clinic-1 clinic-2; do
    address=$(medproof key show "/keys/$clinic.json" --password-file "/run/secrets/$clinic-password")
    signer=$(medproof key show "/keys/$clinic-log.json" --password-file "/run/secrets/$clinic-log-password")
    printf 'A certificate of %s, for trying it out.\n' "$clinic" > "/tmp/$clinic.txt"
    medproof party accredit "$address" --kind provider --last-day 2090-12-31 --credential "/tmp/$clinic.txt" \
        --keystore /keys/admin.json --password-file /run/secrets/admin-password
    medproof access open "$signer" --keystore "/keys/$clinic.json" --password-file "/run/secrets/$clinic-password"
done
