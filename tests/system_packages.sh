#!/usr/bin/env bash
# Installs the Debian packages that the tests start, where root or sudo allows; else names them and fails.
set -euo pipefail

declare -A package_of=(
  [chromium]=chromium [chromedriver]=chromium-driver [redis-server]=redis-server [curl]=curl
  [dovecot]=dovecot-imapd [postfix]=postfix [clamd]=clamav-daemon [tesseract]=tesseract-ocr [antiword]=antiword
  [openssl]=openssl [nginx]=nginx-light [age]=age [rsync]=rsync [rclone]=rclone [sshd]=openssh-server
  [prometheus]=prometheus [prometheus-alertmanager]=prometheus-alertmanager [rsyslogd]=rsyslog
)
PATH="$PATH:/usr/sbin:/sbin"
missing=()
for command in "${!package_of[@]}"; do
  command -v "$command" >/dev/null || missing+=("${package_of[$command]}")
done
[ -x /usr/lib/dovecot/lmtp ] || missing+=(dovecot-lmtpd)
[ -e /usr/share/tesseract-ocr/5/tessdata/fra.traineddata ] || missing+=(tesseract-ocr-fra)
compgen -G "/usr/lib/*/rsyslog/lmnsd_ossl.so" >/dev/null || missing+=(rsyslog-openssl)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "The tests need packages that only root can install: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi
echo "Installing ${missing[*]} ..."
# The tests start their own: nothing else is started here (https://www.debian.org/doc/debian-policy/ch-opersys.html#interfacing-with-init-systems).
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
