use super::*;

const SMALL: &str = r#"
start = "2024-05-14T00:00:00Z"
end = "2024-05-15T00:00:00Z"

[[service]]
id = "spotify"
topic = "music"
names = ["Spotify"]
handle = "Spotify"
tag = "spotify"
complaints_per_hour = 12
mentions_per_hour = 60

[[outage]]
service = "spotify"
start = "2024-05-14T12:00:00Z"
duration_min = 60
multiplier = 20
"#;

#[track_caller]
fn check_refused(from: &str, to: &str, expected: &str) {
    assert!(SMALL.contains(from), "the test changes what is there");
    let error = Scenario::parse(&SMALL.replacen(from, to, 1)).expect_err("it is refused");
    let message = error.to_string();
    assert!(message.contains(expected), "`{expected}` is not in: {message}");
}

#[test]
fn a_small_scenario_needs_little() {
    let scenario = Scenario::parse(SMALL).expect("it is valid");
    assert_eq!(scenario.end_ms - scenario.start_ms, 86_400_000);
    assert_eq!(scenario.services[0].languages.len(), 1, "English unless said otherwise");
}

#[test]
fn what_cannot_be_simulated_is_refused_by_name() {
    check_refused("multiplier = 20", "multiplyer = 20", "multiplyer");
    check_refused("multiplier = 20", "multiplier = 0.5", "outage[0].multiplier is 0.5, expected 1 to");
    check_refused("duration_min = 60", "duration_min = 0", "outage[0].duration_min");
    check_refused("start = \"2024-05-14T00", "start = \"14 May 2024\" # ", "RFC 3339");
    check_refused("end = \"2024-05-15", "end = \"2024-05-13", "end is");
    check_refused(
        "service = \"spotify\"",
        "service = \"spotty\"",
        "spotty, expected the id of a [[service]]",
    );
    check_refused("T12:00:00Z", "T25:00:00Z", "RFC 3339");
    check_refused("start = \"2024-05-14T12", "start = \"2024-05-17T12", "between start and end");
    check_refused("topic = \"music\"", "topic = \"musik\"", "musik");
    check_refused(
        "complaints_per_hour = 12",
        "complaints_per_hour = -1",
        "service spotify: complaints_per_hour",
    );
    check_refused("names = [\"Spotify\"]", "names = []", "names");
}

#[test]
fn the_built_in_scenario_is_a_day_of_six_services_and_two_outages() {
    let demo = Scenario::demo();
    assert_eq!((demo.services.len(), demo.outages.len()), (6, 2));
    assert_eq!(demo.end_ms - demo.start_ms, 86_400_000);
}
