//! Completeness: a range of the ledger, exported from a server and checked offline.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use crate::fixtures::server::{AFFIANT, InProcess, Place, WitnessPlace, call, run, unpack};
use affiant::access::Role;
use affiant::clock::{Clock as _, ManualClock, SystemClock, format_time};
use affiant::server::StartOptions;
use serde_json::Value;

/// The example key of the signed-note specification.
const OTHER_LOG: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

async fn affiant(place: &Place, token: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(AFFIANT);
    command.current_dir(place.path()).env("AFFIANT_TOKEN", token).args(arguments);
    tokio::task::spawn_blocking(move || run(&mut command).unwrap()).await.unwrap()
}

#[tokio::test]
async fn no_record_of_a_period_is_missing_and_whoever_takes_one_out_is_found() {
    let (mut place, witness) = (Place::new(), WitnessPlace::new());
    let process = witness.serve();
    place.set("witnessing", &witness.settings(&process));
    let tokens = [place.issuer_token(0), place.issuer_token(1)];
    let auditor = place.token(Role::Auditor, None, false);
    let key = place.log_key().to_string();
    let clock = Arc::new(ManualClock::new(SystemClock::default().now()));
    let state = place.open_with(clock.clone(), StartOptions::default()).await.unwrap();
    let server = InProcess::of(affiant::server::serve(state).unwrap());
    let client = &server.client;
    // Twelve records of two issuers, a minute apart, each under a checkpoint that was witnessed.
    let (mut times, mut bundle) = (Vec::new(), String::new());
    for n in 0..12_u64 {
        clock.advance(Duration::from_secs(60));
        times.push(format_time(clock.now()));
        let receipt = client.issue(&tokens[usize::try_from(n % 2).unwrap()], call(n)).await;
        let index = receipt["index"].as_u64();
        let answered = |health: &Value| {
            health["parties"].as_array().unwrap().iter().all(|party| party["answered"].as_u64() > index)
        };
        client.wait_for_health(answered).await;
        bundle = receipt["links"]["bundle"].as_str().unwrap().to_owned();
    }
    unpack(&client.get(&bundle, &tokens[1]).await.body, &place.path().join("bundle"));
    let issuer = place.issuer(0).to_string();
    let get = |token: String, more: Vec<String>, file: &'static str| {
        let mut arguments: Vec<String> =
            ["period", "--server", &client.base, "--output", file].map(str::to_owned).into();
        arguments.extend(more);
        let place = &place;
        async move { affiant(place, &token, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await }
    };
    let between = |from: usize, to: usize| vec!["--from".into(), times[from].clone(), "--to".into(), times[to].clone()];
    let audit = async |file: &str, more: &[&str]| -> (Option<i32>, String) {
        let output = affiant(&place, "", &[&["audit", "--period", file, "--key", &key], more].concat()).await;
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };

    let got = get(tokens[0].clone(), between(2, 6), "own.period").await;
    assert!(got.status.success(), "{got:?}");
    let policy = ["--log-policy", "bundle/ledger.tlog-policy"];
    let (code, said) = audit("own.period", &policy).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("3 records of {issuer}")) && said.contains("count from 2 to 4"), "{said}");
    assert!(said.contains("Cosigned by witness.example/1") && !said.contains("may follow"), "{said}");
    // A policy that does not know the log is not passed over in silence.
    let other = format!("log {OTHER_LOG}\nquorum none\n");
    std::fs::write(place.path().join("other.tlog-policy"), other).unwrap();
    let (code, said) = audit("own.period", &["--log-policy", "other.tlog-policy"]).await;
    assert!(code == Some(1) && said.starts_with("NOT RIGHT: the last checkpoint"), "{said}");
    // An auditor names the issuer, and another issuer's token may not.
    let named = [between(2, 6), vec!["--issuer".into(), issuer.clone()]].concat();
    assert!(get(auditor, named.clone(), "audited.period").await.status.success());
    let read = |file: &str| std::fs::read(place.path().join(file)).unwrap();
    assert_eq!(read("own.period"), read("audited.period"));
    assert_eq!(get(tokens[1].clone(), named, "none.period").await.status.code(), Some(3));
    assert!(!place.path().join("none.period").exists());
    // The whole of it, as JSON: what is listed is what the server lists.
    assert!(get(tokens[0].clone(), vec![], "all.period").await.status.success());
    let (code, said) = audit("all.period", &["--json", policy[0], policy[1]]).await;
    let whole: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &whole["summary"]["counts"]), (Some(0), &serde_json::json!([1, 6])));
    let listed = client.get("/v1/records", &tokens[0]).await.json();
    let records =
        |list: &Value| -> Vec<Value> { list.as_array().unwrap().iter().map(|one| one["record"].clone()).collect() };
    assert_eq!(records(&whole["records"]), records(&listed["records"]));
    // Open at its end, it says so.
    let to_come =
        vec!["--from".into(), times[8].clone(), "--to".into(), format_time(clock.now() + chrono::TimeDelta::days(1))];
    assert!(get(tokens[0].clone(), to_come, "open.period").await.status.success());
    let (code, said) = audit("open.period", &[]).await;
    assert!(code == Some(2) && said.contains("2 records") && said.contains("may follow"), "{said}");

    // A line taken out, changed, or cut off at the end.
    let lines =
        |file: &str| -> Vec<String> { String::from_utf8(read(file)).unwrap().lines().map(str::to_owned).collect() };
    let whole = lines("own.period");
    for (what, changed) in [
        ("without its third entry", [&whole[..3], &whole[4..]].concat()),
        ("without its last", whole[..whole.len() - 1].to_vec()),
        ("with one twice", [&whole[..4], &whole[3..]].concat()),
        ("with another record", whole.iter().map(|line| line.replacen("\"seq\":3", "\"seq\":4", 1)).collect()),
        ("from later", whole.iter().map(|line| line.replacen(&times[2], &times[0], 1)).collect()),
        ("without a head", whole[1..].to_vec()),
        ("empty", vec![]),
    ] {
        assert_ne!(changed, whole, "{what}");
        std::fs::write(place.path().join("changed.period"), changed.join("\n")).unwrap();
        let (code, said) = audit("changed.period", &[]).await;
        assert!(code == Some(1) && said.starts_with("NOT RIGHT: "), "{what}: {code:?} {said}");
    }
    let backwards = format!("from={}&to={}", times[6], times[2]);
    for query in [&*backwards, "from=yesterday", "to=x", "issuer=x", &format!("issuer={}", place.issuer(1))] {
        let answer = client.get(&format!("/v1/ledger/periods?{query}"), &tokens[0]).await;
        assert!(matches!(answer.status, 400 | 403), "{query}: {answer:?}");
    }
    server.stop().await;
    assert!(process.stop());
}
