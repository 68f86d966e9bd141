use std::collections::BTreeSet;

use super::*;
use crate::TruthKind;

fn bytes(scenario: &Scenario, seed: u64) -> Vec<u8> {
    simulate(scenario, seed).0.flat_map(|post| post.line).collect()
}

fn demo_with(change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = Scenario::demo();
    change(&mut scenario);
    scenario
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let scenario = Scenario::demo();
    let first = bytes(&scenario, 1);
    assert!(first == bytes(&scenario, 1), "seed 1 repeats itself");
    assert!(first != bytes(&scenario, 2), "seed 2 is another day");
}

#[test]
fn the_bytes_of_the_demo_are_those_of_every_platform() {
    // Taken from the first run that was looked at; a change here changes every fixture and must be meant.
    let hash = bytes(&Scenario::demo(), 1).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    assert_eq!(format!("{hash:016x}"), "b4fb24f333e36e95");
}

#[test]
fn posts_arrive_in_order_and_not_long_after_their_time() {
    let scenario = Scenario::demo();
    let mut last_ms = i64::MIN;
    let mut n_swapped = 0;
    let mut latest_event_ms = i64::MIN;
    for post in simulate(&scenario, 3).0 {
        assert!(post.arrival_ms >= last_ms, "arrival never goes back");
        assert!((0..=20_000).contains(&(post.arrival_ms - post.event_ms)), "within 20 s");
        assert!((scenario.start_ms..scenario.end_ms).contains(&post.event_ms), "inside the scenario");
        n_swapped += u32::from(post.event_ms < latest_event_ms);
        latest_event_ms = latest_event_ms.max(post.event_ms);
        last_ms = post.arrival_ms;
    }
    assert!(n_swapped > 100, "posts overtake each other, got {n_swapped}");
}

#[test]
fn truth_is_what_the_scenario_says() {
    let scenario = Scenario::demo();
    let truth = simulate(&scenario, 1).1;
    let minutes: Vec<(&str, i64)> =
        truth.iter().map(|row| (row.service.as_str(), (row.end_ms - row.start_ms) / 60_000)).collect();
    assert_eq!(minutes, [("spotify", 95), ("whatsapp", 40)]);
    assert_eq!(truth[0].start_ms, scenario.outages[0].start_ms);
    assert!(truth.iter().all(|row| row.kind == TruthKind::Outage));
}

#[test]
fn ordinary_rates_come_out_near_the_scenario() {
    let scenario = demo_with(|scenario| {
        scenario.outages.clear();
        scenario.end_ms = scenario.start_ms + 7 * 86_400_000;
    });
    let mut n_complaints = vec![0.0; scenario.services.len()];
    let mut n_mentions = vec![0.0; scenario.services.len()];
    for post in simulate(&scenario, 11).0 {
        let counts = if post.kind.is_complaint() { &mut n_complaints } else { &mut n_mentions };
        counts[post.service] += 1.0;
    }
    for (position, service) in scenario.services.iter().enumerate() {
        // Five standard deviations of a week's count, with the dispersion of mentions, the larger one.
        let check = |what: &str, got: f64, per_hour: f64| {
            let expected = per_hour * 168.0;
            let margin = 5.0 * (1.6 * expected).sqrt();
            assert!((got - expected).abs() < margin, "{}: {got} {what}, expected {expected}", service.id);
        };
        check("complaints", n_complaints[position], service.complaints_per_hour);
        check("mentions", n_mentions[position], service.mentions_per_hour);
    }
}

#[test]
fn an_outage_multiplies_complaints_and_leaves_other_services_alone() {
    let with = Scenario::demo();
    let without = demo_with(|scenario| scenario.outages.clear());
    let count = |scenario: &Scenario, service: &str| {
        let position = scenario.position(service).expect("the demo has it");
        let outage = &with.outages[0];
        let during = outage.start_ms + 600_000..outage.start_ms + (outage.duration_min * 60_000.0) as i64;
        simulate(scenario, 5)
            .0
            .filter(|post| post.service == position && during.contains(&post.event_ms))
            .filter(|post| post.kind.is_complaint())
            .count()
    };
    let ratio = count(&with, "spotify") as f64 / count(&without, "spotify").max(1) as f64;
    assert!(ratio > with.outages[0].multiplier * 0.4, "ratio {ratio}");
    assert_eq!(count(&with, "netflix"), count(&without, "netflix"), "netflix has its own stream of chance");
}

#[test]
fn a_good_part_of_the_complaints_is_worded_obliquely() {
    let scenario = Scenario::demo();
    let (posts, _) = simulate(&scenario, 2);
    let complaints: Vec<Post> = posts.filter(|post| post.kind.is_complaint()).collect();
    let n_oblique = complaints.iter().filter(|post| matches!(post.kind, Kind::Oblique(_))).count();
    let share = n_oblique as f64 / complaints.len() as f64;
    assert!((0.15..0.3).contains(&share), "share {share}");
}

#[test]
fn a_crowd_posts_rather_than_a_few() {
    let scenario = Scenario::demo();
    let (posts, _) = simulate(&scenario, 2);
    let authors: Vec<String> = posts
        .map(|post| {
            let line: serde_json::Value = serde_json::from_slice(&post.line).expect("the demo has no noise");
            line["author"].as_str().expect("an author").to_owned()
        })
        .collect();
    let distinct: BTreeSet<&String> = authors.iter().collect();
    assert!(distinct.len() * 10 > authors.len() * 7, "{} of {}", distinct.len(), authors.len());
}

#[test]
fn a_surge_is_loud_and_no_complaint() {
    let scenario = Scenario::parse(&format!(
        "{}\n[[surge]]\nservices = [\"netflix\"]\nstart = \"2024-05-14T18:00:00Z\"\nduration_min = 60\n\
         multiplier = 30.0\nramp_min = 5\nabout = \"release\"\n",
        include_str!("../../data/scenario/demo.toml")
    ))
    .expect("a valid scenario");
    let netflix = scenario.position("netflix").expect("the demo has it");
    let start_ms = scenario.surges[0].start_ms;
    let count = |from_ms: i64, complaints: bool| {
        simulate(&scenario, 4)
            .0
            .filter(|post| post.service == netflix && (from_ms..from_ms + 3_600_000).contains(&post.event_ms))
            .filter(|post| post.kind.is_complaint() == complaints)
            .count()
    };
    let (before, during) = (count(start_ms - 3_600_000, false), count(start_ms, false));
    assert!(during > before * 15, "{before} then {during} mentions");
    assert!(count(start_ms, true) < 40, "complaints stay ordinary");
    assert_eq!(simulate(&scenario, 4).1.len(), 2, "a surge is not in the truth");
}

#[test]
fn noise_adds_faults_without_changing_what_people_post() {
    let noisy = demo_with(|scenario| {
        scenario.noise = crate::Noise {
            malformed_json: 0.01,
            invalid_utf8: 0.01,
            oversized: 0.001,
            huge: 0.001,
            duplicate: 0.02,
            late: 0.02,
            future: 0.01,
            backdated: 0.01,
            missing_field: 0.01,
            bad_time: 0.01,
            epoch_ms: 0.3,
            offset_time: 0.1,
            crlf: 0.2,
            empty_line: 0.01,
        };
    });
    let clean = Scenario::demo();
    let n_clean = simulate(&clean, 6).0.count();
    let posts: Vec<Post> = simulate(&noisy, 6).0.collect();
    let n_duplicate = posts.iter().filter(|post| post.fault == Some(Fault::Duplicate)).count() / 2;
    assert_eq!(posts.len(), n_clean + n_duplicate);
    let late = posts.iter().filter(|post| post.fault == Some(Fault::Late));
    assert!(late.into_iter().all(|post| post.arrival_ms - post.event_ms >= 180_000));
    assert!(posts.iter().any(|post| post.line.ends_with(b"\r\n")));
    assert!(posts.iter().any(|post| post.line.len() > 100_000));
}
