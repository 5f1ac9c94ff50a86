# Makes a signer of statements in the folder that it is sourced in, with OpenSSL: an authority (ca.pem), a certificate under it
# (leaf.pem, with leaf.key) and the file that says to trust it (trust.toml). What OpenSSL says goes to openssl.log.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca.key -out ca.pem -days 30 \
    -subj '/CN=Statements' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign >openssl.log 2>&1
printf '%s\n' keyUsage=critical,digitalSignature extendedKeyUsage=1.3.6.1.5.5.7.3.36 basicConstraints=critical,CA:FALSE \
    subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >leaf.ext
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout leaf.key -out leaf.csr -subj '/CN=Signer' >>openssl.log 2>&1
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -days 20 -extfile leaf.ext -out leaf.pem >>openssl.log 2>&1
printf 'version = 1\nname = "statements"\n[[anchor]]\nname = "Statements"\nfile = "ca.pem"\n' >trust.toml
