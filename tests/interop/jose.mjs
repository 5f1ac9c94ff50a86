// Verifies records with npm's jose: node jose.mjs CASE...; each CASE is a folder of record.vcon.json and draft.vcon.json.
import { createHash, webcrypto, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

globalThis.crypto ??= webcrypto;
const { decodeProtectedHeader, generalVerify, importX509 } = await import('jose');

let failed = 0;
const check = (what, right) => {
  failed += right ? 0 : 1;
  console.log(`${right ? 'ok' : 'FAILED'} jose: ${what}`);
};
const accepts = async (jws, key) => {
  try {
    return await generalVerify(jws, key, { algorithms: ['RS256'] });
  } catch (error) {
    if (error.code !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' && error.code !== 'ERR_JWS_INVALID') throw error;
    return null;
  }
};
// Another character in the middle of a base64url text: other bits, the same form.
const flip = (text) => {
  const middle = text.length >> 1;
  return text.slice(0, middle) + (text[middle] === 'A' ? 'B' : 'A') + text.slice(middle + 1);
};

for (const folder of process.argv.slice(2)) {
  const what = folder.split('/').pop();
  const jws = JSON.parse(readFileSync(`${folder}/record.vcon.json`, 'utf8'));
  const der = Buffer.from(jws.signatures[0].header.x5c[0], 'base64');
  const key = await importX509(new X509Certificate(der).toString(), 'RS256');
  const verified = await accepts(jws, key);
  check(`${what} verifies`, verified !== null);
  const header = decodeProtectedHeader(jws.signatures[0]);
  check(`${what} protects alg RS256`, header.alg === 'RS256');
  check(`${what} has the x5t#S256 of x5c[0]`,
    header['x5t#S256'] === createHash('sha256').update(der).digest('base64url'));
  const vcon = verified && JSON.parse(new TextDecoder().decode(verified.payload));
  check(`${what} holds the vCon that its header names`, vcon?.uuid === jws.signatures[0].header.uuid);
  for (const member of ['payload', 'signature', 'protected']) {
    const altered = structuredClone(jws);
    const at = member === 'payload' ? altered : altered.signatures[0];
    at[member] = flip(at[member]);
    let refused;
    try {
      refused = (await accepts(altered, key)) === null;
    } catch {
      refused = true; // an altered header need not be JSON
    }
    check(`${what} with an altered ${member} is refused`, refused);
  }
  const draft = JSON.parse(readFileSync(`${folder}/draft.vcon.json`, 'utf8'));
  check(`${what} in the draft dialect, which repeats alg, is refused as RFC 7515 wants`, (await accepts(draft, key)) === null);
}
process.exit(failed === 0 ? 0 : 1);
