import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** Says of each signature of each file, a line: file, format, indication, sub-indication; below it its timestamps, and why. No network. */
public class Validate {
    /** Files by their extension: anchors (.pem), revocation lists (.crl), signed documents (others). */
    public static void main(String[] arguments) throws Exception {
        CommonTrustedCertificateSource anchors = new CommonTrustedCertificateSource();
        List<DSSDocument> lists = new ArrayList<>();
        List<String> signed = new ArrayList<>();
        for (String name : arguments) {
            if (name.endsWith(".pem")) {
                anchors.addCertificate(DSSUtils.loadCertificate(new File(name)));
            } else if (name.endsWith(".crl")) {
                lists.add(new FileDocument(name));
            } else {
                signed.add(name);
            }
        }
        for (String name : signed) {
            CommonCertificateVerifier verifier = new CommonCertificateVerifier();
            verifier.setTrustedCertSources(anchors);
            verifier.setAIASource(null);
            if (!lists.isEmpty()) {
                verifier.setCrlSource(new ExternalResourcesCRLSource(lists.toArray(new DSSDocument[0])));
            }
            SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(name));
            validator.setCertificateVerifier(verifier);
            SimpleReport report = validator.validateDocument().getSimpleReport();
            for (String id : report.getSignatureIdList()) {
                System.out.println(String.join(" ", new File(name).getName(), String.valueOf(report.getSignatureFormat(id)),
                        String.valueOf(report.getIndication(id)), String.valueOf(report.getSubIndication(id))));
                report.getSignatureTimestamps(id).forEach(one -> System.out.println("  timestamp: " + one.getIndication()));
                report.getAdESValidationErrors(id).forEach(message -> System.out.println("  error: " + message.getValue()));
                report.getAdESValidationWarnings(id).forEach(message -> System.out.println("  warning: " + message.getValue()));
            }
        }
    }
}
