//! `groundswell test`: what catalogue, lexicon and detector are expected to do.

mod common;

use common::{Folder, run};

const SHOP: &str = "[[service]]\nid = \"quillbank\"\nname = \"Quill Bank\"\naliases = [\"quillbank\"]\n";

#[test]
fn the_cases_that_come_with_it_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../cases");
    let run = run(&["test", folder]).exits(0);
    let text = run.text();
    let last = text.lines().last().expect("a summary");
    let n: u32 = last.split(' ').next().and_then(|n| n.parse().ok()).expect("a number of cases");
    assert!(n >= 1_000 && last == format!("{n} of {n} cases held"), "{last}");
}

#[test]
fn a_user_can_prove_an_entry_of_their_own() {
    let folder = Folder::new();
    let mine = folder.write("mine.toml", SHOP);
    let cases = folder.write(
        "cases.toml",
        "[[text]]\ntext = \"quillbank is down again\"\nlang = \"en\"\ncomplains = [\"quillbank\"]\nsymptom = \"access\"\n\
         \n[[text]]\ntext = \"quillbank shares are down\"\nlang = \"en\"\ncomplains = []\ntrap = \"price\"\n\
         \n[[counts]]\ncounts = \"7200x2 60x6 180x2\"\nevents = [\"suspected\", \"started\", \"ended\"]\n\
         \n[[counts]]\ncounts = \"7200x2 5\"\nevents = []\n",
    );
    let run = run(&["test", "--catalog", &mine, &cases]).exits(0);
    let text = run.text();
    assert!(text.contains("en                 2      1.000   1.000  1.000"), "{text}");
    assert!(text.contains("price              1      1.000"), "{text}");
    assert!(text.contains("service            1      1.000\nsymptom            1      1.000\n"), "{text}");
    assert!(text.ends_with("4 of 4 cases held\n"), "{text}");
}

#[test]
fn several_symptoms_may_do_and_those_that_do_not_are_counted() {
    let folder = Folder::new();
    let case = |symptom: &str| {
        format!("[[text]]\ntext = \"is spotify down?\"\ncomplains = [\"spotify\"]\nsymptom = {symptom}\n")
    };
    let cases = [case("[\"login\", \"access\"]"), case("[\"login\", \"crash\"]")].concat();
    let run = run(&["test", &folder.write("cases.toml", &cases)]).exits(1);
    let text = run.text();
    assert!(text.contains("expected spotify (login or crash), found spotify (access)"), "{text}");
    assert!(text.contains("service            2      1.000\nsymptom            2      0.500\n"), "{text}");
}

#[test]
fn a_case_that_fails_is_told_with_its_place_and_why() {
    let folder = Folder::new();
    let cases = folder.write(
        "cases.toml",
        "# mine\n[[text]]\ntext = \"spotify is not down\"\ncomplains = [\"spotify\"]\n\
         \n[[text]]\ntext = \"is spotify down?\"\ncomplains = [\"spotify\"]\n\
         \n[[counts]]\ncounts = \"1440x1\"\nevents = [\"started\"]\n",
    );
    let run = run(&["test", &cases]).exits(1).says(&["2 of 3 cases failed"]);
    let text = run.text();
    assert!(text.contains(&format!("{cases}:2: spotify is not down")), "{text}");
    assert!(text.contains("expected spotify, found nothing: negated"), "{text}");
    assert!(text.contains(&format!("{cases}:10: 1440x1\n  expected started, found nothing")), "{text}");
    assert!(text.ends_with("1 of 3 cases held\n"), "{text}");
}

#[test]
fn a_file_that_is_not_sound_is_refused_with_its_line() {
    let folder = Folder::new();
    for (content, line, reason) in [
        ("[[text]]\ntext = \"x\"\ncomplain = []\n", 3, "unknown field `complain`"),
        ("[[text]]\ntext = \"x\"\n", 1, "missing field `complains`"),
        ("\n[[text]]\ntext = \"x\"\ncomplains = [\"no-such\"]\n", 2, "no service \"no-such\""),
        ("[[text]]\ntext = \"x\"\ncomplains = []\nsymptom = \"access\"\n", 1, "has no symptom"),
        (
            "[[text]]\ntext = \"x\"\ncomplains = []\nsymptom = \"acces\"\n",
            4,
            "no symptom \"acces\"; there are login",
        ),
        ("[[text]]\ntext = \"x\"\ncomplains = []\nsymptom = []\n", 4, "an empty list"),
        ("[[counts]]\ncounts = \"5*3\"\nevents = []\n", 1, "\"5*3\" in counts"),
        ("[[counts]]\ncounts = \"5x3\"\nevents = [\"begun\"]\n", 1, "\"begun\" is no event"),
        ("# nothing\n", 0, "has no case"),
    ] {
        let cases = folder.write("cases.toml", content);
        let place = if line == 0 { format!("{cases}: ") } else { format!("{cases}:{line}: ") };
        run(&["test", &cases]).exits(2).says(&[&place, reason]);
    }
    let missing = folder.path("no-such.toml");
    run(&["test", &missing]).exits(2).says(&["no-such.toml"]);
    run(&["test"]).exits(2).says(&["<CASES.toml>"]);
}
