//! `groundswell explain`: the documented JSON form, texts and posts mixed, and answers that agree with `replay`.

mod common;

use std::collections::BTreeMap;

use common::{Folder, fixture_posts, lines, run, run_on};
use serde_json::Value;

fn explanations(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON each")).collect()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn the_json_form_is_the_documented_one() {
    let run =
        run(&["explain", "--json", "is spotify down?", "lovely weather", "spotify: nothing loads"]).exits(0);
    let all = explanations(run.text());
    assert_eq!(all.len(), 3, "a line for each text");
    for explanation in &all {
        let mut found = keys(explanation);
        found.sort_unstable();
        assert_eq!(
            found,
            ["complaints", "cues", "findings", "id", "mentioned", "outcome", "signs", "tells"],
            "these keys and no other"
        );
        assert!(explanation["id"].is_null(), "a text has no id");
    }
    assert_eq!(all[0]["outcome"], "complaint");
    assert_eq!(all[0]["mentioned"], serde_json::json!(["spotify"]));
    let complaint = &all[0]["complaints"][0];
    assert_eq!(complaint["service"], "spotify");
    assert_eq!(complaint["symptom"], "access");
    assert_eq!(complaint["weight"], 1.0, "a question whether it is down is of tier A");
    let (cues, tells) = (&all[2]["cues"], &all[2]["tells"]);
    assert!(
        cues[0].is_object() && tells[0].is_object(),
        "\"loads\" weighs and tells something: {cues} {tells}"
    );
    for cue in cues.as_array().expect("a list") {
        assert!(cue["words"].is_string() && cue["weight"].is_f64(), "a cue has its words and weight: {cue}");
    }
    // What fails is what has most votes, of the phrase, the words and the kind of service.
    let votes = complaint["votes"].as_object().expect("votes by symptom");
    let access = votes["access"].as_f64().expect("a number");
    assert!(votes.values().all(|votes| votes.as_f64() <= Some(access)), "{votes:?}");
    for tell in tells.as_array().expect("a list") {
        assert!(tell["words"].is_string() && tell["votes"].is_object(), "words tell of symptoms: {tell}");
    }
    let signs = &all[0]["signs"];
    assert!(signs.to_string().contains("counts"), "that a phrase counts is a sign: {signs}");
    let finding = &all[0]["findings"][0];
    for key in ["phrase", "service", "tier", "weight", "symptom", "language", "verdict"] {
        assert!(finding.get(key).is_some(), "a finding has a {key}: {finding}");
    }
    assert_eq!(finding["verdict"], "counts");
    assert_eq!(all[1]["outcome"], "no_service");
    assert_eq!(all[1]["complaints"], serde_json::json!([]), "no complaint is an empty list");
}

#[test]
fn a_cue_that_counts_for_a_category_names_it() {
    let folder = Folder::new();
    let bank = "[[service]]\nid = 'bank'\nname = 'Bank'\ncategory = 'finance'\naliases = ['mybank']\n";
    let words = "language = 'en'\n[[cues]]\nweight = 0.2\nany = ['zonk']\n\
                 [[cues]]\ncategory = 'finance'\nweight = 0.4\nany = ['zonk']\n";
    let (catalog, lexicon) = (folder.write("bank.toml", bank), folder.write("en.toml", words));
    let explain = |more: &[&str]| {
        let own = [
            "explain",
            "--no-builtin-catalog",
            "--no-builtin-lexicon",
            "--catalog",
            &catalog,
            "--lexicon",
            &lexicon,
        ];
        run(&[own.as_slice(), more].concat()).exits(0)
    };
    let run = explain(&["--json", "mybank zonk"]);
    let found = &explanations(run.text())[0];
    let cues = serde_json::json!([
        { "words": "zonk", "weight": 0.4, "category": "finance" },
        { "words": "zonk", "weight": 0.2 },
    ]);
    assert_eq!(found["cues"], cues);
    assert_eq!(found["complaints"][0]["weight"], 0.6, "both count");
    assert!(explain(&["mybank zonk"]).text().contains("words +0.60: zonk (finance) +0.40, zonk +0.20"));
}

#[test]
fn what_fails_is_told_with_each_vote() {
    let folder = Folder::new();
    let bank = "[[service]]\nid = 'bank'\nname = 'Bank'\ncategory = 'finance'\naliases = ['mybank']\n\
                [[category]]\nname = 'finance'\nsymptoms = { payment = 0.4 }\n";
    let words = "language = 'en'\n[[phrases]]\ntier = 'A'\nsymptom = 'access'\nany = ['is down']\n\
                 [[tells]]\nsymptom = 'login'\nvotes = 2.5\nany = ['password']\n\
                 [[tells]]\nsymptom = 'payment'\nvotes = -0.3\nany = ['password']\n";
    let (catalog, lexicon) = (folder.write("bank.toml", bank), folder.write("en.toml", words));
    let own = ["--no-builtin-catalog", "--no-builtin-lexicon", "--catalog", &catalog, "--lexicon", &lexicon];
    let explain = |more: &[&str]| run(&[&["explain"], own.as_slice(), more].concat()).exits(0);
    let run = explain(&["--json", "mybank is down, password"]);
    let found = &explanations(run.text())[0];
    assert_eq!(found["complaints"][0]["symptom"], "login");
    let votes = serde_json::json!({ "access": 1.2, "login": 2.5, "payment": 0.1 });
    assert_eq!(found["complaints"][0]["votes"], votes, "of the phrase, the word, and the kind with the word");
    let tells = serde_json::json!([{ "words": "password", "votes": { "login": 2.5, "payment": -0.3 } }]);
    assert_eq!(found["tells"], tells);
    let text = explain(&["mybank is down, password"]);
    assert!(text.text().contains("fails, of bank: login 2.50, access 1.20, payment 0.10"));
}

#[track_caller]
fn check_outcome(text: &str, expected: &str) {
    let run = run(&["explain", "--json", text]).exits(0);
    assert_eq!(explanations(run.text())[0]["outcome"], expected, "{text:?}");
}

#[test]
fn the_reason_why_a_text_does_not_count_is_named() {
    check_outcome("spotify is down", "complaint");
    check_outcome("spotify is not down for me", "negated");
    check_outcome("spotify was down last week", "not_now");
    check_outcome("spotify is back up", "recovery");
    check_outcome("I love spotify", "no_complaint");
    check_outcome("everything is down", "no_service");
}

#[test]
fn stdin_may_mix_texts_and_posts_and_each_gives_a_line() {
    let stdin = concat!(
        "is spotify down?\n",
        "\n",
        r#"{"id":"p1","text":"spotify is down","created_at":"2023-04-20T12:00:00Z","author":"a"}"#,
        "\r\n",
        r#"{"id":"p2","text":"RT spotify is down","is_repost":true}"#,
        "\n",
        r#"{"id":"p3","text":"I can't log in","service":"spotify"}"#,
        "\n",
        r#"{"id":"p4","text":"I can't log in","service":"no-such"}"#,
        "\n{\"id\":\"p5\n",
        r#"{"id":"p6","text":7}"#,
        "\nthe last text has no line end",
    );
    let run = run_on(&["explain", "--json", "first an argument", "-"], stdin.as_bytes()).exits(0);
    let found: Vec<(Value, String)> = explanations(run.text())
        .into_iter()
        .map(|all| (all["id"].clone(), all["outcome"].as_str().expect("an outcome").to_owned()))
        .collect();
    let expected = [
        (Value::Null, "no_service"),
        (Value::Null, "complaint"),
        ("p1".into(), "complaint"),
        ("p2".into(), "repost"),
        ("p3".into(), "complaint"),
        ("p4".into(), "unknown_service"),
        (Value::Null, "not_json"),
        (Value::Null, "bad_field"),
        (Value::Null, "no_service"),
    ];
    let expected = expected.map(|(id, outcome)| (id, outcome.to_owned()));
    assert_eq!(found, expected, "in the order of the input, blank lines left out");
}

#[test]
fn a_text_can_be_taken_as_addressed_to_a_service() {
    let addressed = run(&["explain", "--json", "--service", "spotify", "can't log in"]).exits(0);
    let explanation = &explanations(addressed.text())[0];
    assert_eq!(explanation["complaints"][0]["service"], "spotify", "the option names the service");
    assert_eq!(explanation["complaints"][0]["symptom"], "login");
    run(&["explain", "--service", "no-such", "x"]).exits(2).says(&["--service no-such", "no such service"]);
}

#[test]
fn the_form_for_people_names_text_outcome_service_and_phrase() {
    let run = run(&["explain", "is spotify down?"]).exits(0);
    for part in ["is spotify down?", "complaint", "spotify", "access", "counts"] {
        assert!(run.text().contains(part), "it must say {part:?}:\n{}", run.text());
    }
}

#[test]
fn it_agrees_with_replay_about_every_post() {
    let posts = fixture_posts("viral-not-down");
    let some = lines(&posts)[..20_000].concat();
    let explained = run_on(&["explain", "--json"], &some).exits(0);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for explanation in explained.text().lines() {
        let (_, rest) = explanation.split_once("\"outcome\":\"").expect("an outcome");
        let (outcome, _) = rest.split_once('"').expect("a string ends");
        *outcomes.entry(outcome.to_owned()).or_default() += 1;
    }
    let mut replayed = run_on(&["replay", "-"], &some).exits(0).summary().outcomes;
    // Explain looks at one post at a time, so it cannot know of an author's earlier post or of copies.
    for of_several in ["duplicate_author", "repeated_text"] {
        let n = replayed.remove(of_several).unwrap_or(0);
        *replayed.entry("complaint".to_owned()).or_default() += n;
    }
    assert_eq!(outcomes, replayed, "the same judgement decides in both");
}

#[test]
fn a_request_without_a_text_exits_2() {
    run(&["explain"]).exits(2).says(&["<TEXT>"]);
    run(&["explain", "--no-such-option", "x"]).exits(2).says(&["--no-such-option"]);
}

#[test]
fn json_without_a_text_reads_standard_input() {
    let run = run_on(&["explain", "--json"], b"spotify is down\n").exits(0);
    assert!(run.text().contains(r#""service":"spotify""#), "{}", run.text());
    let run = run_on(&["explain", "--json"], b"").exits(0);
    assert!(run.stdout.is_empty(), "nothing in, nothing out");
}
