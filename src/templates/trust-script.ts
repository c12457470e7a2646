/** Where the authorities are inside of an image, as one file of PEM */
export const authoritiesFile = '/etc/ssl/e2b-server-ca.pem'

/**
 * Puts that file's certificates into the image's trust store by its distribution's own way, else behind the bundle that it
 * has. `$1` is `last` when no package comes any more. Prints where the bundle is, as `bundle=/path`. For any POSIX shell.
 */
export const trustScript = `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
ca=${authoritiesFile}
bundle() {
  for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    if [ -s "$file" ]; then echo "$file"; return; fi
  done
}
tool=
anchors=
for folder in /etc/pki/ca-trust/source/anchors /etc/ca-certificates/trust-source/anchors /etc/pki/trust/anchors; do
  if [ -d "$folder" ]; then anchors=$folder; fi
done
if [ -n "$anchors" ] && has update-ca-trust; then tool='update-ca-trust'
elif has update-ca-certificates; then tool='update-ca-certificates'
fi
if [ -n "$tool" ] && [ -n "$anchors" ]; then
  cp "$ca" "$anchors/e2b-server-ca.pem" && $tool || exit
elif [ -n "$tool" ]; then
  # One certificate in each file, or they are found by some programs only.
  folder=/usr/local/share/ca-certificates
  mkdir -p "$folder" && rm -f "$folder"/e2b-server-ca-*.crt || exit
  number=0
  target=/dev/null
  while IFS= read -r line; do
    case "$line" in
      *BEGIN*) number=$((number + 1)); target=$folder/e2b-server-ca-$number.crt ;;
    esac
    printf '%s\\n' "$line" >> "$target"
  done < "$ca"
  $tool || exit
else
  file=$(bundle)
  if [ -n "$file" ]; then
    case "$(cat "$file")" in
      *"$(cat "$ca")"*) ;;
      *) cat "$ca" >> "$file" || exit ;;
    esac
  elif [ "$1" = last ]; then
    mkdir -p /etc/ssl/certs && cp "$ca" /etc/ssl/certs/ca-certificates.crt || exit
  fi
fi
[ "$1" = last ] || exit 0
# What sudo takes away else.
if [ -d /etc/sudoers.d ]; then
  echo 'Defaults env_keep += "NODE_EXTRA_CA_CERTS SSL_CERT_FILE REQUESTS_CA_BUNDLE"' > /etc/sudoers.d/e2b-server-ca
  chmod 440 /etc/sudoers.d/e2b-server-ca
fi
echo "bundle=$(bundle)"
`
