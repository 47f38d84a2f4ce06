import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** Writes key.pkcs8.pem and certificate.cer as Bouncy Castle's key stores do: BER, unless told otherwise. */
class BouncyCastle {
    public static void main(String[] unused) throws Exception {
        String pem = Files.readString(Path.of("key.pkcs8.pem")).replaceAll("-----[A-Z ]+-----|\\s", "");
        PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
        PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(encoded);
        Certificate certificate = CertificateFactory.getInstance("X.509")
                .generateCertificate(new FileInputStream("certificate.cer"));
        String[][] kinds = {
            {"PKCS12", "bc.p12"},
            {"PKCS12-3DES-3DES", "bc-3des.p12"},
        };
        for (String[] kind : kinds) {
            KeyStore store = KeyStore.getInstance(kind[0], new BouncyCastleProvider());
            store.load(null, null);
            char[] passphrase = "secret".toCharArray();
            store.setKeyEntry("Push", key, passphrase, new Certificate[] {certificate});
            try (FileOutputStream file = new FileOutputStream(kind[1])) {
                store.store(file, passphrase);
            }
        }
    }
}
