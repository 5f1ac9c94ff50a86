// The page: takes files, lets the worker verify them, shows the report. Without it the form goes to the server.
(() => {
  "use strict";

  const element = (id) => document.getElementById(id);
  const form = element("verify");
  const record = element("record");
  const recording = element("recording");
  const policy = element("policy");
  const note = element("note");
  const problem = element("problem");
  const title = document.title;
  /** What the page came with, to go back to. */
  const offered = { text: element("policy-text").textContent, source: element("policy-source").textContent };
  /** The trust policy under which is verified. */
  let trusted = offered.text;
  let worker;
  /** Those who wait for the worker's answer: `{ resolve, reject, progress }`. */
  let waiting;

  /** A saved page has the worker inside; a server's names its address. */
  function workerAddress() {
    const inside = element("worker");
    if (!inside) return form.dataset.worker;
    return URL.createObjectURL(new Blob([inside.textContent], { type: "text/javascript" }));
  }

  const address = workerAddress();

  function stopWorker() {
    worker?.terminate();
    worker = undefined;
    waiting = undefined;
  }

  function ask(question, progress) {
    if (!worker) {
      worker = new Worker(address);
      worker.onerror = (event) => {
        const { reject } = waiting ?? {};
        stopWorker();
        reject?.(new Error(event.message || "the worker does not start"));
      };
      worker.onmessage = ({ data }) => {
        if (data.progress) return waiting?.progress?.(data.progress);
        const { resolve, reject } = waiting ?? {};
        waiting = undefined;
        if (data.refused === undefined) resolve?.(data.answer);
        else reject?.(data.refused);
      };
    }
    return new Promise((resolve, reject) => {
      waiting = { resolve, reject, progress };
      worker.postMessage(question);
    });
  }

  /** Opens a trust policy, or the certificates of one, and shows what it comes to. */
  async function trust(policy, source) {
    const { name, digest, text } = await ask({ open: policy });
    trusted = text;
    element("policy-name").textContent = name;
    element("policy-digest").textContent = digest;
    element("policy-source").textContent = source;
    element("policy-text").textContent = text;
    element("policy-back").hidden = text === offered.text;
  }

  function say(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  /** What went wrong, for the reader: a reason in words, or a fault of the verifier itself. */
  const inWords = (reason) =>
    typeof reason === "string" ? reason : `The verifier stopped (${reason.message}). Verify with affiant verify instead.`;

  /** Of an unpacked bundle, lists and OCSP responses are in folders, which a file does not say. */
  const nameInBundle = (name) => {
    if (name.endsWith(".crl.pem")) return `crls/${name}`;
    return name.endsWith(".ors") ? `ocsp/${name}` : name;
  };

  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

  function showProgress({ name, done, total }) {
    const bar = element("bar");
    bar.max = total;
    bar.value = done;
    element("progress-name").textContent = name;
    element("progress-bytes").textContent = `${megabytes(done)} of ${megabytes(total)} MB`;
  }

  function busy(is) {
    element("progress").hidden = !is;
    for (const field of form.querySelectorAll("input, button")) {
      if (field.id !== "cancel") field.disabled = is;
    }
    form.setAttribute("aria-busy", String(is));
  }

  function offerToSave(id, text, type) {
    const link = element(id);
    if (link.href) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([text], { type }));
  }

  function show(answer, names) {
    element("report-part").innerHTML = answer.part;
    element("json").textContent = answer.json;
    offerToSave("save-json", answer.json, "application/json");
    offerToSave("save-page", answer.page, "text/html");
    const made = element("made-here");
    made.textContent = `Verified on this machine in ${answer.milliseconds.toFixed(1)} ms: ${names}. Nothing was sent.`;
    made.dataset.milliseconds = answer.milliseconds;
    element("after").hidden = false;
    element("report").hidden = false;
    element("hero").hidden = true;
    element("ask").textContent = "Verify another";
    document.title = `${answer.code} – ${title}`;
    const verdict = element("report-part").querySelector("h1");
    verdict.tabIndex = -1;
    verdict.focus();
  }

  async function verify() {
    const files = [...record.files].map((file) => ({ name: nameInBundle(file.name), file }));
    const now = element("at").value.trim() || new Date().toISOString();
    say("");
    element("report").hidden = true;
    const recordings = [...recording.files];
    const names = [...record.files, ...recordings].map(({ name }) => name).join(", ");
    showProgress({ name: names, done: 0, total: 1 });
    busy(true);
    element("cancel").focus();
    try {
      // After a cancelled verification there is a new worker, which trusts nobody yet.
      if (!worker) await ask({ open: trusted });
      const answer = await ask({ verify: { files, recordings, now } }, showProgress);
      busy(false);
      show(answer, names);
    } catch (reason) {
      busy(false);
      say(inWords(reason));
      element("send").focus();
    }
  }

  function cancel() {
    const { reject } = waiting ?? {};
    stopWorker();
    reject?.("Cancelled. Nothing was verified.");
  }

  /** Gives an input the files that were dropped, as if they had been chosen. */
  function give(input, files) {
    const list = new DataTransfer();
    files.forEach((file) => list.items.add(file));
    input.files = list.files;
  }

  const isEvidence = ({ name }) => /\.(json|vcon|zip|gz|pem|txt|html|tsr|tlog-proof|tlog-policy)$/i.test(name);

  function drop(event) {
    event.preventDefault();
    document.body.classList.remove("dragging");
    if (form.getAttribute("aria-busy") === "true") return;
    const files = [...event.dataTransfer.files];
    const onRecordings = event.target.closest?.(".drop")?.contains(recording);
    const evidence = onRecordings ? [] : files.filter(isEvidence);
    const recordings = files.filter((file) => !evidence.includes(file));
    if (evidence.length > 0) give(record, evidence);
    if (recordings.length > 0) give(recording, recordings);
    element("send").focus();
  }

  function onlyFiles(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dragging");
  }

  async function choosePolicy() {
    const [file] = policy.files;
    if (!file) return;
    say("");
    try {
      await trust(await file.text(), `You chose it: ${file.name}.`);
    } catch (reason) {
      policy.value = "";
      say(`${file.name} is not used as trust policy: ${inWords(reason)}`);
    }
  }

  async function backToOffered() {
    policy.value = "";
    await trust(offered.text, offered.source);
    policy.focus();
  }

  function listen() {
    form.addEventListener("submit", (event) => {
      // The button that sends says so, and is left to the browser.
      if (event.submitter?.id === "send-away") return;
      event.preventDefault();
      verify();
    });
    element("cancel").addEventListener("click", cancel);
    policy.addEventListener("change", choosePolicy);
    element("policy-back").addEventListener("click", backToOffered);
    document.addEventListener("dragover", onlyFiles);
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dragging");
    });
    document.addEventListener("drop", drop);
  }

  async function start() {
    try {
      await trust(offered.text, offered.source);
    } catch (reason) {
      // The form still goes to the server, and still says so.
      console.warn(reason);
      document.documentElement.dataset.verifies = "elsewhere";
      return;
    }
    record.multiple = true;
    note.textContent = note.dataset.here;
    for (const part of form.querySelectorAll(".here")) part.hidden = false;
    listen();
    document.documentElement.dataset.verifies = "here";
  }

  start();
})();
