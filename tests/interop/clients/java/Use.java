// A client generated for Java: submits, reads the receipt, collects, verifies, runs a batch.
// Use URL CALL UUID...: CALL is a file with an unsigned vCon; of each UUID a call of its own is made.

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.RecordsApi;
import org.openapitools.client.api.VerificationApi;
import org.openapitools.client.model.BatchLine;
import org.openapitools.client.model.Durability;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ReportLedger;
import org.openapitools.client.model.ReportRow;

public class Use {
    static void check(String what, boolean holds) {
        System.out.println((holds ? "ok" : "FAILED") + " client java: " + what);
    }

    public static void main(String[] arguments) throws Exception {
        String call = Files.readString(Path.of(arguments[1]));
        String first = arguments[2];
        List<String> others = Arrays.asList(arguments).subList(3, arguments.length);
        ApiClient client = new ApiClient();
        client.updateBaseUri(arguments[0]);
        String token = System.getenv("AFFIANT_TOKEN");
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        RecordsApi records = new RecordsApi(client);
        VerificationApi verification = new VerificationApi(client);
        ObjectMapper mapper = client.getObjectMapper();

        var receipt = records.submit(of(mapper, call, first), null, null);
        check("submitted", receipt.getStatus() == Durability.INCLUDED && receipt.getUuid().equals(first)
            && !receipt.getRepeated());
        check("the receipt is read again", records.readReceipt(receipt.getRecord()).getIndex().equals(receipt.getIndex()));
        check("the record is read", records.read(first, null, null).getSignatures().size() == 1);
        File bundle = records.bundle(receipt.getRecord());
        byte[] begin = Files.readAllBytes(bundle.toPath());
        check("the bundle is collected", begin[0] == 'P' && begin[1] == 'K');

        Path folder = Files.createTempDirectory("use");
        File other = Files.write(folder.resolve("other.wav"), new byte[] {1, 2, 3}).toFile();
        var report = verification.verify(bundle, null, List.of(other));
        check("the bundle verifies", report.getLedger().getStatus() == ReportLedger.StatusEnum.INCLUDED
            && report.getRows().get(0).getAnswer() == ReportRow.AnswerEnum.YES);
        check("the recording is judged",
            report.getRecordings().stream().filter(one -> "other.wav".equals(one.getFile())).count() == 1);

        List<String> lines = new ArrayList<>();
        for (String uuid : others) {
            lines.add(mapper.writeValueAsString(of(mapper, call, uuid)));
        }
        lines.add("{}");
        List<BatchLine> results = new ArrayList<>();
        for (String line : Files.readAllLines(records.batches(String.join("\n", lines), null, null).toPath())) {
            results.add(mapper.readValue(line, BatchLine.class));
        }
        boolean counted = results.size() == others.size() + 1;
        boolean typed = true;
        for (int index = 0; index < others.size(); index++) {
            counted = counted && results.get(index).getLine() == index + 1;
            typed = typed && results.get(index).getReceipt().getUuid().equals(others.get(index));
        }
        check("a batch has a line for each", counted);
        check("its receipts are typed", typed);
        BatchLine last = results.get(others.size());
        check("its problem is typed", last.getProblem().getStatus() == 422 && last.getReceipt() == null);

        try {
            records.readReceipt("sha256-" + "A".repeat(43));
            check("what is not there is a problem", false);
        } catch (ApiException error) {
            Problem problem = mapper.readValue(error.getResponseBody(), Problem.class);
            check("what is not there is a problem",
                error.getCode() == 404 && problem.getType().equals("urn:affiant:problem:not-found"));
        }
        Files.delete(other.toPath());
        Files.delete(folder);
    }

    static Map<String, Object> of(ObjectMapper mapper, String call, String uuid) throws Exception {
        Map<String, Object> made = mapper.readValue(call, new TypeReference<Map<String, Object>>() {});
        made.put("uuid", uuid);
        return made;
    }
}
