#!/bin/bash
# Makes the files beside it: what openssl, as a foreign writer, makes of one identity. Test keys
# only. Needs OpenSSL 3 with its legacy provider, and python3 for the one form that `openssl` cannot
# write. The files are committed, so this runs only when a form is added: bash make.sh
set -euo pipefail
cd "$(dirname "$0")"
rm -f -- *.p12 *.pem *.cer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- an authority, and a certificate laid out as Apple's "Apple Push Services" ---
cat >"$work/openssl.cnf" <<'CNF'
[req]
distinguished_name = name
prompt = no
utf8 = yes
[name]
CN = unused
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[universal]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
1.2.840.113635.100.6.3.1 = ASN1:NULL
1.2.840.113635.100.6.3.2 = ASN1:NULL
1.2.840.113635.100.6.3.6 = ASN1:SEQUENCE:topics
[topics]
a = UTF8:com.example.shop
b = SEQUENCE:app
c = UTF8:com.example.shop.voip
d = SEQUENCE:voip
e = UTF8:com.example.shop.complication
f = SEQUENCE:complication
[app]
a = UTF8:app
[voip]
a = UTF8:voip
[complication]
a = UTF8:complication
CNF
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/authority.key" -out authority.pem \
    -config "$work/openssl.cnf" -extensions authority -days 36500 \
    -subj "/CN=Test Developer Relations/O=Dunlin" 2>/dev/null
openssl genrsa -out key.pkcs8.pem 2048 2>/dev/null
openssl req -new -key key.pkcs8.pem -config "$work/openssl.cnf" -out request.pem \
    -subj "/UID=com.example.shop/CN=Apple Push Services: com.example.shop/OU=TEAM123456/C=US"
openssl x509 -req -in request.pem -CA authority.pem -CAkey "$work/authority.key" -set_serial 7 \
    -days 36500 -extfile "$work/openssl.cnf" -extensions universal -out certificate.pem 2>/dev/null
openssl x509 -in certificate.pem -outform DER -out certificate.cer

# --- the key in every form ---
openssl rsa -in key.pkcs8.pem -traditional -out key.pkcs1.pem 2>/dev/null
openssl rsa -in key.pkcs8.pem -pubout -out key.public.pem 2>/dev/null
key() { # name, options
    local name=$1
    shift
    openssl pkcs8 -topk8 -in key.pkcs8.pem -out "key.$name.pem" -passout pass:secret "$@"
}
key aes256 -v2 aes-256-cbc
key aes192 -v2 aes-192-cbc -v2prf hmacWithSHA512
key aes128 -v2 aes-128-cbc -v2prf hmacWithSHA384
key 3des-sha1 -v2 des3 -v2prf hmacWithSHA1
key pkcs12-3des -v1 PBE-SHA1-3DES
key scrypt -scrypt
key sha224 -v2 aes-256-cbc -v2prf hmacWithSHA224
key md5-des -v1 PBE-MD5-DES -provider legacy -provider default
openssl rsa -in key.pkcs8.pem -traditional -aes256 -passout pass:secret \
    -out key.proc-type.pem 2>/dev/null
cat certificate.pem authority.pem key.pkcs8.pem >together.pem

# --- other kinds of key ---
openssl genrsa -traditional -out weak.key.pem 1024 2>/dev/null
openssl req -x509 -key weak.key.pem -config "$work/openssl.cnf" -out weak.pem -days 36500 \
    -subj "/UID=com.example.shop/CN=Apple Push Services: com.example.shop"
for curve in prime256v1 secp384r1 secp521r1; do
    openssl ecparam -name "$curve" -genkey -out "$curve.key.pem" # SEC1, after its parameters
    openssl req -x509 -key "$curve.key.pem" -config "$work/openssl.cnf" -out "$curve.pem" \
        -days 36500 -subj "/UID=com.example.shop/CN=Apple Push Services: com.example.shop"
done

openssl pkey -in prime256v1.key.pem -ec_param_enc explicit -out explicit.key.pem
openssl ec -in prime256v1.key.pem -param_enc explicit -out explicit.sec1.pem 2>/dev/null
openssl ec -in prime256v1.key.pem -aes256 -passout pass:secret -out sec1.proc-type.pem 2>/dev/null

# --- a certificate of version 1: one without extensions ---
openssl x509 -req -in request.pem -CA authority.pem -CAkey "$work/authority.key" -set_serial 8 \
    -days 36500 -out version-1.pem 2>/dev/null

# --- PKCS #12 ---
p12() { # name, passphrase, options
    local name=$1 passphrase=$2
    shift 2
    openssl pkcs12 -export -in certificate.pem -inkey key.pkcs8.pem -name "Push" \
        -passout "pass:$passphrase" -out "$name.p12" "$@"
}
legacy=(-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-RC2-40 -macalg sha1
    -provider legacy -provider default)
p12 keychain secret "${legacy[@]}"
p12 keychain-empty "" "${legacy[@]}"
p12 keychain-umlaut "schlüssel€😀" "${legacy[@]}"
p12 keychain-chain secret "${legacy[@]}" -certfile authority.pem
p12 legacy-option secret -legacy
p12 rc2-128-2des secret -keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-RC2-128 -macalg sha1 \
    -provider legacy -provider default
p12 rc4 secret -keypbe PBE-SHA1-RC4-128 -certpbe PBE-SHA1-RC4-40 -macalg sha1 \
    -provider legacy -provider default
p12 modern secret
p12 modern-empty ""
p12 modern-umlaut "schlüssel€😀"
p12 aes128-sha512 secret -keypbe aes-128-cbc -certpbe aes-192-cbc -macalg sha512
p12 mac-sha384 secret -macalg sha384
p12 mac-sha224 secret -macalg sha224
p12 no-mac secret -nomac
p12 plain secret -keypbe NONE -certpbe NONE
p12 no-iterations secret -noiter -nomaciter "${legacy[@]}"
p12 two-certificates secret -certfile certificate.pem
openssl pkcs12 -export -in certificate.pem -nokeys -passout pass:secret -out no-key.p12
openssl pkcs12 -export -inkey key.pkcs8.pem -nocerts -passout pass:secret -out no-certificate.p12

# BER. Needs a JDK and Bouncy Castle (Debian: libbcprov-java, libbcpkix-java).
java -cp /usr/share/java/bcprov.jar:/usr/share/java/bcpkix.jar:/usr/share/java/bcutil.jar \
    bouncy_castle.java

# No passphrase at all, which the program cannot say: it always means an empty one.
python3 - <<'PY'
import ctypes, subprocess

lib = ctypes.CDLL("libcrypto.so.3")
for name in ("BIO_new_file", "PEM_read_bio_X509", "PEM_read_bio_PrivateKey", "PKCS12_create_ex"):
    getattr(lib, name).restype = ctypes.c_void_p
bio = lambda path, mode: ctypes.c_void_p(lib.BIO_new_file(path, mode))
key = ctypes.c_void_p(lib.PEM_read_bio_PrivateKey(bio(b"key.pkcs8.pem", b"r"), None, None, None))
certificate = bio(b"certificate.pem", b"r")
certificate = ctypes.c_void_p(lib.PEM_read_bio_X509(certificate, None, None, None))
TRIPLE_DES = 146  # NID_pbe_WithSHA1And3_Key_TripleDES_CBC
p12 = lib.PKCS12_create_ex(None, b"Push", key, certificate, None,
                           TRIPLE_DES, TRIPLE_DES, 2048, -1, 0, None, None)
assert p12
p12 = ctypes.c_void_p(p12)
lib.EVP_sha1.restype = ctypes.c_void_p
# A null passphrase is hashed as no bytes, an empty one as two zeros.
assert lib.PKCS12_set_mac(p12, None, 0, None, 0, 2048, ctypes.c_void_p(lib.EVP_sha1())) == 1
out = bio(b"absent.p12", b"wb")
assert lib.i2d_PKCS12_bio(out, p12) == 1
lib.BIO_free_all(out)
PY
chmod 644 -- *.p12 *.pem *.cer
