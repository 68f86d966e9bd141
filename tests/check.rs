//! `groundswell check`: what is wrong with a catalogue, lexicon or configuration, and in which line. Also the help of
//! every command, which is checked the same way: by reading it.

mod common;

use common::{Folder, run};

/// Checks `content` under `option` and expects these problems, each as `(line, part of the reason)`.
#[track_caller]
fn check_refused(option: &str, content: &str, problems: &[(usize, &str)]) {
    let folder = Folder::new();
    let file = folder.write("file.toml", content);
    let run = run(&["check", option, &file]).exits(2);
    assert!(run.stdout.is_empty(), "what is not sound must not be called so");
    for (line, reason) in problems {
        let place = format!("{file}:{line}: ");
        let found = run.stderr.lines().any(|said| said.contains(&place) && said.contains(reason));
        assert!(found, "{place}… {reason} … must be said; said is:\n{}", run.stderr);
    }
}

#[test]
fn the_builtin_files_are_sound() {
    let run = run(&["check"]).exits(0);
    let text = run.text();
    assert!(text.starts_with("sound: "), "{text}");
    for language in ["en", "de", "es", "fr", "ja", "pt"] {
        assert!(text.contains(language), "{language} must be among the languages: {text}");
    }
    let n_services: u32 =
        text[7..].split(' ').next().and_then(|n| n.parse().ok()).expect("a number of services");
    assert!(n_services >= 60, "the starter has at least 60 services, not {n_services}");
}

#[test]
fn a_sound_entry_of_ones_own_is_counted_in() {
    let folder = Folder::new();
    let mine = folder.write(
        "mine.toml",
        "[[service]]\nid = \"quillbank\"\nname = \"Quill Bank\"\naliases = [\"quillbank\"]\n",
    );
    let alone = run(&["check", "--no-builtin-catalog", "--catalog", &mine]).exits(0);
    assert!(alone.text().starts_with("sound: 1 services"), "{}", alone.text());
    let hash = |run: &common::Run| run.text().trim_end().rsplit(' ').next().map(str::to_owned);
    assert_ne!(hash(&alone), hash(&run(&["check"])), "another catalogue is another configuration");
}

#[test]
fn mistakes_in_a_catalogue_are_named_with_their_line() {
    check_refused(
        "--catalog",
        "[[service]]\nid = \"a\"\nname = \"A\"\nalias = [\"a\"]\n",
        &[(4, "unknown field `alias`")],
    );
    check_refused(
        "--catalog",
        "[[service]]\nid = \"My Bank\"\nname = \"B\"\n",
        &[(1, "`id` is \"My Bank\"")],
    );
    check_refused(
        "--catalog",
        "[[service]]\nid = \"a\"\nname = \" \"\naliases = [\"!!\"]\n",
        &[(1, "`name` is empty"), (1, "\"!!\", which no text can match")],
    );
    check_refused(
        "--catalog",
        "[[service]]\nid = \"a\"\nname = \"A\"\ndepends_on = [\"nowhere\"]\n",
        &[(1, "`nowhere`")],
    );
    check_refused(
        "--catalog",
        "[[service]]\nid = \"a\"\nname = \"A\"\ndomains = [\"https://a.com/x\"]\n",
        &[(1, "host such as")],
    );
    check_refused("--catalog", "[[service]]\nid = \"a\n", &[(2, "")]);
}

#[test]
fn a_handle_or_id_that_two_services_claim_is_refused() {
    let two = "[[service]]\nid = \"a\"\nname = \"A\"\nhandles = [\"acme\"]\n\n\
               [[service]]\nid = \"b\"\nname = \"B\"\nhandles = [\"@Acme\"]\n";
    check_refused("--catalog", two, &[(6, "services `a` and `b` both claim the handle")]);
    // Ours count too.
    let ours = "[[service]]\nid = \"zz-mine\"\nname = \"Mine\"\nhandles = [\"SpotifyCares\"]\n";
    check_refused("--catalog", ours, &[(1, "services `spotify` and `zz-mine` both claim the handle")]);
    let twice = "[[service]]\nid = \"a\"\nname = \"A\"\n[[service]]\nid = \"a\"\nname = \"A\"\n";
    check_refused("--catalog", twice, &[(4, "already in line 1")]);
}

#[test]
fn mistakes_in_a_lexicon_are_named_with_their_line() {
    check_refused("--lexicon", "language = \"English\"\n", &[(1, "2 or 3 lower-case letters")]);
    check_refused(
        "--lexicon",
        "language = \"sv\"\nnegations = [\"inte\"]\n",
        &[(2, "unknown field `negations`")],
    );
    check_refused("--lexicon", "language = \"sv\"\nnegation = [\"...\"]\n", &[(2, "no text can match")]);
    let phrases = |symptom: &str, phrase: &str| {
        format!(
            "language = \"sv\"\n[[phrases]]\ntier = \"B\"\nsymptom = \"{symptom}\"\nany = [\"{phrase}\"]\n"
        )
    };
    check_refused("--lexicon", &phrases("sadness", "ligger nere"), &[(4, "sadness")]);
    check_refused("--lexicon", &phrases("access", "* nere"), &[(5, "begins or ends with `*`")]);
}

#[test]
fn a_name_that_is_a_common_word_needs_context() {
    let folder = Folder::new();
    let entry = "[[service]]\nid = \"mart\"\nname = \"Mart\"\naliases = [\"target\"]\n";
    let bare = folder.write("bare.toml", entry);
    run(&["check", "--catalog", &bare]).exits(2).says(&["name \"target\" is a common word", "`mart`"]);
    let with_context = folder.write("context.toml", format!("{entry}require_any = [\"store\"]\n"));
    run(&["check", "--catalog", &with_context]).exits(0);
}

#[test]
fn a_phrase_that_no_text_can_reach_is_refused() {
    let twice = "language = \"sv\"\n[[phrases]]\ntier = \"A\"\nsymptom = \"access\"\nany = [\"ligger nere\"]\n\
                 [[phrases]]\ntier = \"B\"\nsymptom = \"loading\"\nany = [\"Ligger Nere\"]\n";
    check_refused("--lexicon", twice, &[(9, "never reached: tier A has it")]);
    let folder = Folder::new();
    let covered = "language = \"sv\"\nfigurative = [\"ligger nere\"]\n\
                   [[phrases]]\ntier = \"B\"\nsymptom = \"access\"\nany = [\"ligger nere\"]\n";
    let covered = folder.write("sv.toml", covered);
    run(&["check", "--lexicon", &covered]).exits(2).says(&["\"ligger nere\" is never reached", "`sv`"]);
    let name = "[[service]]\nid = \"a\"\nname = \"A\"\naliases = [\"acme pay\"]\nexclude = [\"acme pay\"]\n";
    let name = folder.write("a.toml", name);
    run(&["check", "--catalog", &name]).exits(2).says(&["name \"acme pay\" is never reached", "`a`"]);
}

#[test]
fn mistakes_in_a_configuration_are_named_with_line_value_and_range() {
    check_refused(
        "--config",
        "\nupdate_interval_s = 5\n",
        &[(2, "`update_interval_s` is 5; it must be between 60")],
    );
    check_refused(
        "--config",
        "author_window_s = 1\n",
        &[(1, "`author_window_s` is 1; it must be between 60")],
    );
    check_refused("--config", "thresholds = 3\n", &[(1, "unknown field `thresholds`")]);
    check_refused("--config", "copies_max = \n", &[(1, "")]);
}

#[test]
fn every_problem_is_reported_not_only_the_first() {
    let folder = Folder::new();
    let catalogue = folder
        .write("c.toml", "[[service]]\nid = \"A\"\nname = \"A\"\n[[service]]\nid = \"B\"\nname = \"B\"\n");
    let lexicon = folder.write("l.toml", "language = \"English\"\n");
    let config = folder.write("g.toml", "copies_max = 0\n");
    let args = ["check", "--catalog", &catalogue, "--lexicon", &lexicon, "--config", &config];
    let run = run(&args).exits(2).says(&["4 problems"]);
    for place in [
        format!("{catalogue}:1: "),
        format!("{catalogue}:4: "),
        format!("{lexicon}:1: "),
        format!("{config}:1: "),
    ] {
        assert!(run.stderr.contains(&place), "{place} must be among them:\n{}", run.stderr);
    }
}

#[test]
fn a_secret_key_is_never_in_a_message() {
    let folder = Folder::new();
    folder.write("key", "00112233445566778899aabbccddee");
    let config = folder.write("config.toml", "author_key_file = \"key\"\n");
    let run =
        run(&["check", "--config", &config]).exits(2).says(&["`author_key_file`", "32 hexadecimal digits"]);
    assert!(!run.stderr.contains("00112233"), "the key must not be shown: {}", run.stderr);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = Folder::new();
    let missing = folder.path("missing.toml");
    for option in ["--catalog", "--lexicon", "--config"] {
        run(&["check", option, &missing]).exits(2).says(&[&missing]);
    }
}

#[test]
fn the_help_of_every_command_has_examples_of_it() {
    let help = run(&["--help"]).exits(0);
    let commands: Vec<&str> = help
        .text()
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&command| command != "help")
        .collect();
    for expected in ["replay", "explain", "check", "simulate"] {
        assert!(commands.contains(&expected), "{expected} must be among the commands: {commands:?}");
    }
    for command in commands {
        let help = run(&[command, "--help"]).exits(0);
        let (_, examples) =
            help.text().split_once("Examples:").unwrap_or_else(|| panic!("{command}: no examples"));
        let n_examples = examples.matches(&format!("groundswell {command}")).count();
        assert!(n_examples >= 2, "{command}: at least two examples, not {n_examples}");
    }
}
