// A client generated for TypeScript: submits, reads the receipt, collects, verifies, runs a batch.
// use.js URL CALL UUID...: CALL is a file with an unsigned vCon; of each UUID a call of its own is made.

import { readFileSync } from 'node:fs';

import * as api from './client';

const [url, path, first, ...others] = process.argv.slice(2);
const call = JSON.parse(readFileSync(path, 'utf8'));
const of = (uuid: string) => ({ ...call, uuid });
const configuration = new api.Configuration({ basePath: url, accessToken: process.env.AFFIANT_TOKEN });
const records = new api.RecordsApi(configuration);
const verification = new api.VerificationApi(configuration);

function check(what: string, holds: boolean) {
    console.log(`${holds ? 'ok' : 'FAILED'} client typescript: ${what}`);
}

async function main() {
    const receipt = await records.submit({ requestBody: of(first) });
    check('submitted', receipt.status === api.Durability.Included && receipt.uuid === first && !receipt.repeated);
    check('the receipt is read again', (await records.readReceipt({ id: receipt.record })).index === receipt.index);
    check('the record is read', (await records.read({ id: first })).signatures?.length === 1);
    const bundle = await records.bundle({ id: receipt.record });
    check('the bundle is collected', (await bundle.slice(0, 2).text()) === 'PK');

    const other = new File([new Uint8Array([1, 2, 3])], 'other.wav');
    const report = await verification.verify({ record: bundle, recording: [other] });
    check('the bundle verifies', report.ledger?.status === 'INCLUDED' && report.rows[0].answer === 'yes');
    const files = report.recordings?.map((one) => one.file).filter((file) => file !== null);
    check('the recording is judged', JSON.stringify(files) === '["other.wav"]');

    const lines = [...others.map((uuid) => JSON.stringify(of(uuid))), '{}'].join('\n');
    const answer = await records.batches({ body: lines });
    const results = (await answer.text()).trim().split('\n').map((line) => api.BatchLineFromJSON(JSON.parse(line)));
    check('a batch has a line for each', results.every((one, index) => one.line === index + 1) && results.length === others.length + 1);
    check('its receipts are typed', results.slice(0, -1).every((one, index) => one.receipt?.uuid === others[index]));
    check('its problem is typed', results[others.length].problem?.status === 422 && !results[others.length].receipt);

    try {
        await records.readReceipt({ id: `sha256-${'A'.repeat(43)}` });
        check('what is not there is a problem', false);
    } catch (error) {
        const problem = error instanceof api.ResponseError ? api.ProblemFromJSON(await error.response.json()) : null;
        check('what is not there is a problem', problem?.status === 404 && problem.type === 'urn:affiant:problem:not-found');
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
