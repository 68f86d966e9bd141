//! The detector over simulated counts: what it must raise, what it must not, and in which order it speaks.
//!
//! Seeds are fixed; bounds on chance are wide enough that a sound detector fails them less than once in 10,000 seeds.

use groundswell_core::{
    Bin, BinWidth, Catalogue, Complaint, Config, ConfigHash, Detector, EventKind, EventTime, LanguageTag,
    Lexicon, OutageEvent, ServiceIndex, SnapshotError, Stream, Symptoms, restore, save,
};

const MINUTES_PER_DAY: i64 = 1440;

/// SplitMix64 (Steele, Lea & Flood 2014).
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A Poisson count by multiplication (Knuth); for means up to a few hundred.
    fn poisson(&mut self, mean: f64) -> u32 {
        let limit = libm::exp(-mean);
        let mut product = self.uniform();
        let mut n = 0;
        while product > limit {
            product *= self.uniform();
            n += 1;
        }
        n
    }

    /// A negative-binomial count of size 10: a Poisson count whose mean varies like a Gamma of shape 10, the sum of ten
    /// exponentials.
    fn overdispersed(&mut self, mean: f64) -> u32 {
        let gamma: f64 = (0..10).map(|_| -libm::log(1.0 - self.uniform())).sum();
        self.poisson(mean * gamma / 10.0)
    }
}

/// 2023-11-13T00:00:00Z, a Monday.
fn first_bin() -> Bin {
    BinWidth::MINUTE.bin_of(EventTime::from_ms(1_699_833_600_000).expect("a time in range"))
}

fn services(n: usize) -> Vec<ServiceIndex> {
    let ids: Vec<String> = (0..n).map(|number| format!("s{number:03}")).collect();
    let catalogue = Catalogue::of_ids(ids.iter().map(String::as_str));
    ids.iter().filter_map(|id| catalogue.index_of(id)).collect()
}

/// Feeds `minutes` minutes of `count_of(service, minute)`; gives the events.
fn run(
    detector: &mut Detector,
    services: &[ServiceIndex],
    minutes: std::ops::Range<i64>,
    mut count_of: impl FnMut(usize, i64) -> u32,
) -> Vec<OutageEvent> {
    let mut events = Vec::new();
    for minute in minutes {
        let counts: Vec<(ServiceIndex, u32)> = services
            .iter()
            .enumerate()
            .map(|(number, &service)| (service, count_of(number, minute)))
            .collect();
        detector.handle_counts(first_bin().plus(minute), &counts, &[]);
        events.extend(std::iter::from_fn(|| detector.poll_event()));
    }
    events
}

fn minute_of(time: EventTime) -> i64 {
    BinWidth::MINUTE.bin_of(time).since(first_bin())
}

fn kinds(events: &[OutageEvent]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

/// What must hold of any events.
fn assert_well_formed(events: &[OutageEvent]) {
    let mut open: std::collections::BTreeMap<ServiceIndex, &OutageEvent> = std::collections::BTreeMap::new();
    for pair in events.windows(2) {
        assert!(pair[0].time <= pair[1].time, "events come in the order of event time");
    }
    for event in events {
        assert!(event.started_at < event.detected_at, "the onset is before the detection: {event:?}");
        assert!(event.detected_at <= event.time, "nothing is detected after it is told: {event:?}");
        let before = open.insert(event.service, event);
        let is_new =
            before.is_none_or(|before| matches!(before.kind, EventKind::Ended | EventKind::Retracted));
        assert_eq!(is_new, event.sequence == 1, "an outage begins with sequence 1: {event:?}");
        if let Some(before) = before.filter(|_| !is_new) {
            assert_eq!(event.opened_at, before.opened_at, "one outage a service at a time");
            assert_eq!(event.sequence, before.sequence + 1, "no event is left out");
        }
        match event.kind {
            EventKind::Suspected => assert!(is_new, "suspected is the first event"),
            EventKind::Started => {
                assert!(is_new || before.is_some_and(|before| before.kind == EventKind::Suspected));
            }
            EventKind::Updated | EventKind::Ended => {
                let kind = before.map(|before| before.kind);
                assert!(
                    matches!(kind, Some(EventKind::Started | EventKind::Updated)),
                    "{event:?} after {kind:?}"
                );
            }
            EventKind::Retracted => {
                assert!(before.is_some_and(|before| before.kind == EventKind::Suspected));
            }
        }
        let is_last = matches!(event.kind, EventKind::Ended | EventKind::Retracted);
        assert_eq!(is_last, event.ended_at.is_some(), "an end is told when, and only when, it is over");
    }
}

#[test]
fn a_sharp_outage_is_found_in_minutes_and_ends() {
    for (base, factor, delay_max) in [(0.2, 20.0, 6), (1.0, 10.0, 3), (10.0, 5.0, 3)] {
        let mut dice = Dice(1);
        let mut detector = Detector::new(Config::default());
        let (start, end) = (5 * MINUTES_PER_DAY, 5 * MINUTES_PER_DAY + 120);
        let events = run(&mut detector, &services(1), 0..6 * MINUTES_PER_DAY, |_, minute| {
            dice.poisson(if (start..end).contains(&minute) { base * factor } else { base })
        });
        assert_well_formed(&events);
        let started: Vec<&OutageEvent> =
            events.iter().filter(|event| event.kind == EventKind::Started).collect();
        assert_eq!(started.len(), 1, "base {base}: {:?}", kinds(&events));
        let delay = minute_of(started[0].time) - start;
        assert!((1..=delay_max).contains(&delay), "base {base}: started after {delay} minutes");
        let onset = minute_of(started[0].started_at) - start;
        assert!(onset.abs() <= 2, "base {base}: the onset is off by {onset} minutes");
        let last = events.last().expect("there are events");
        assert_eq!(last.kind, EventKind::Ended, "base {base}");
        let ended = minute_of(last.ended_at.expect("an end has a time")) - end;
        assert!(ended.abs() <= 10, "base {base}: the end is off by {ended} minutes");
    }
}

#[test]
fn steady_services_are_hardly_ever_suspected_and_not_started() {
    let mut dice = Dice(2);
    let mut detector = Detector::new(Config::default());
    let rates = [0.02, 0.1, 0.5, 2.0, 10.0];
    let events = run(&mut detector, &services(30), 0..14 * MINUTES_PER_DAY, |number, minute| {
        // A day with a night: the complaint rate swings by a factor of three. Overdispersed, which an expectation that
        // is a little off would hide if it were used to learn the dispersion.
        let phase = minute as f64 / MINUTES_PER_DAY as f64 * std::f64::consts::TAU;
        dice.overdispersed(rates[number % rates.len()] * (1.0 + 0.5 * libm::sin(phase)))
    });
    assert_well_formed(&events);
    // 30 services × 14 days is 1.15 service-years: one suspected is promised, eight come once in 100,000 seeds.
    let n_suspected = events.iter().filter(|event| event.sequence == 1).count();
    assert!(n_suspected <= 7, "{n_suspected} suspected");
    let started: Vec<&OutageEvent> = events.iter().filter(|event| event.kind == EventKind::Started).collect();
    assert!(started.is_empty(), "{started:#?}");
}

#[test]
fn an_outage_at_the_end_of_the_input_stays_open() {
    let mut dice = Dice(3);
    let mut detector = Detector::new(Config::default());
    let start = 3 * MINUTES_PER_DAY;
    let events = run(&mut detector, &services(1), 0..start + 30, |_, minute| {
        dice.poisson(if minute >= start { 20.0 } else { 1.0 })
    });
    detector.close_until_end(None, None);
    assert!(detector.poll_event().is_none(), "no end is invented");
    assert!(events.iter().any(|event| event.kind == EventKind::Started));
    assert_eq!(detector.ongoing().count(), 1);
}

#[test]
fn a_step_in_level_is_told_once_and_becomes_the_new_normal() {
    let mut dice = Dice(4);
    let mut detector = Detector::new(Config::default());
    let start = 7 * MINUTES_PER_DAY;
    let events = run(&mut detector, &services(1), 0..21 * MINUTES_PER_DAY, |_, minute| {
        dice.poisson(if minute >= start { 6.0 } else { 1.0 })
    });
    assert_well_formed(&events);
    let n_started = events.iter().filter(|event| event.kind == EventKind::Started).count();
    assert_eq!(n_started, 1, "{:?}", kinds(&events));
    let ended =
        events.iter().find(|event| event.kind == EventKind::Ended).expect("the outage is over some time");
    assert!(ended.is_new_normal, "it has not come back: it was taken for normal");
}

#[test]
fn an_outage_is_not_over_because_others_came_before_it() {
    // Half an hour of three times as much, every four hours for three days: one trouble, but none of it is normal.
    let mut dice = Dice(6);
    let mut detector = Detector::new(Config::default());
    let start = 7 * MINUTES_PER_DAY;
    let events = run(&mut detector, &services(1), 0..start + 3 * MINUTES_PER_DAY, |_, minute| {
        dice.poisson(if minute >= start && minute % 240 < 30 { 12.0 } else { 4.0 })
    });
    assert_well_formed(&events);
    let at_once = events.windows(2).filter(|pair| {
        matches!(pair[1].kind, EventKind::Retracted | EventKind::Ended)
            && minute_of(pair[1].time) - minute_of(pair[0].time) <= 1
    });
    assert_eq!(at_once.count(), 0, "{:?}", kinds(&events));
    assert!(events.len() > 40, "each is raised: {:?}", kinds(&events));
}

#[test]
fn of_a_bin_of_which_nothing_is_known_there_is_no_row() {
    let mut detector = Detector::new(Config::default());
    detector.keep_rows();
    let services = services(2);
    detector.handle_counts(first_bin(), &[(services[0], 3), (services[1], 0)], &[]);
    detector.handle_counts(first_bin().plus(1), &[(services[0], 3)], &services[1..]);
    let rows: Vec<_> = std::iter::from_fn(|| detector.poll_row()).map(|row| row.service).collect();
    assert_eq!(rows, [services[0], services[1], services[0]]);
}

#[test]
fn a_service_that_begins_busy_is_not_an_outage() {
    let mut dice = Dice(5);
    let mut detector = Detector::new(Config::default());
    let events = run(&mut detector, &services(5), 0..360, |number, _| {
        dice.poisson([0.1, 1.0, 5.0, 20.0, 100.0][number])
    });
    assert_eq!(kinds(&events), [], "nothing is known yet, so nothing is unusual");
}

#[test]
fn a_stream_that_begins_busy_is_not_an_outage() {
    // Through posts, where a service's history begins with the stream: whatever minute of a chunk that is, and whatever
    // the phase of the service's own chunks.
    for offset in 0..15 {
        let mut dice = Dice(7 + offset);
        let mut detector = Detector::new(Config::default());
        let services = services(20);
        let mut events = Vec::new();
        for minute in 0..120i64 {
            detector.close_until(first_bin().plus(minute + offset as i64), None);
            events.extend(std::iter::from_fn(|| detector.poll_event()));
            for (number, &service) in services.iter().enumerate() {
                for nth in 0..dice.poisson([0.2, 1.0, 8.0, 30.0][number % 4]) {
                    let ms = 1_699_833_600_000 + (minute + offset as i64) * 60_000 + i64::from(nth);
                    let event_time = EventTime::from_ms(ms).expect("a time in range");
                    let complaint = Complaint {
                        event_time,
                        post_id: format!("{minute}-{number}-{nth}").into(),
                        author: (minute as u64) << 32 | (number as u64) << 16 | u64::from(nth),
                        long_text: None,
                        about: vec![(service, Symptoms::default())],
                        language: LanguageTag::UNDETERMINED,
                        country: None,
                    };
                    detector.handle_complaint(complaint);
                }
            }
        }
        assert_eq!(kinds(&events), [], "beginning at minute {offset} of a chunk");
    }
}

#[test]
fn updates_come_on_a_change_and_at_most_every_five_minutes() {
    let mut dice = Dice(6);
    let mut detector = Detector::new(Config::default());
    let start = 3 * MINUTES_PER_DAY;
    let events = run(&mut detector, &services(1), 0..start + 240, |_, minute| {
        let rising = 5.0 + (minute - start).max(0) as f64;
        dice.poisson(if minute >= start { rising } else { 1.0 })
    });
    let updates: Vec<i64> =
        events.iter().filter(|e| e.kind == EventKind::Updated).map(|e| minute_of(e.time)).collect();
    assert!(updates.len() >= 2, "a rise over four hours is told: {updates:?}");
    assert!(updates.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{updates:?}");
}

#[test]
fn a_replay_cut_anywhere_and_resumed_says_the_same() {
    let hash = ConfigHash::of(&Config::default(), &Catalogue::default(), &Lexicon::default());
    let services = services(3);
    let end = 2 * MINUTES_PER_DAY;
    let count = |number: usize, minute: i64| {
        let mut dice = Dice((number as u64) << 32 | minute as u64);
        let is_failing = number == 1 && (end - 300..end - 200).contains(&minute);
        dice.poisson(if is_failing { 15.0 } else { 0.8 })
    };
    let whole = run(&mut Detector::new(Config::default()), &services, 0..end, count);
    assert!(!whole.is_empty(), "the example has an outage");
    for cut in [1, 7, 15, 600, end - 299, end - 250, end - 190] {
        let mut first = Stream::new(Config::default());
        let mut events = run(first.detector(), &services, 0..cut, count);
        let mut second = restore(&save(&first, hash), Config::default(), hash).expect("the snapshot is good");
        events.extend(run(second.detector(), &services, cut..end, count));
        assert_eq!(events, whole, "cut at minute {cut}");
    }
}

#[test]
fn a_snapshot_is_refused_when_it_does_not_fit() {
    let hash = ConfigHash::of(&Config::default(), &Catalogue::default(), &Lexicon::default());
    let other = Config { cooldown_s: 900, ..Config::default() };
    let other_hash = ConfigHash::of(&other, &Catalogue::default(), &Lexicon::default());
    let bytes = save(&Stream::new(Config::default()), hash);
    let refused =
        |bytes: &[u8], hash| restore(bytes, Config::default(), hash).expect_err("it must be refused");
    assert!(matches!(refused(&bytes, other_hash), SnapshotError::OtherConfig { .. }));
    assert_eq!(refused(b"something else", hash), SnapshotError::NotASnapshot);
    let mut flipped = bytes.clone();
    *flipped.last_mut().expect("a snapshot has bytes") ^= 1;
    assert!(matches!(refused(&flipped, hash), SnapshotError::Damaged(_)));
    assert!(matches!(refused(&bytes[..30], hash), SnapshotError::Damaged(_)));
    let mut newer = bytes;
    newer[6] = 0xff;
    assert!(matches!(refused(&newer, hash), SnapshotError::OtherFormat { .. }));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(60))]
    #[test]
    fn whatever_comes_the_events_are_well_formed(
        seed in 0u64..1_000_000,
        bursts in proptest::collection::vec((0i64..1440, 1i64..200, 0.0f64..60.0), 0..8),
        base in 0.0f64..3.0,
    ) {
        let mut dice = Dice(seed);
        let mut detector = Detector::new(Config::default());
        let events = run(&mut detector, &services(2), 0..1440, |_, minute| {
            let burst = bursts.iter().find(|(start, length, _)| (*start..start + length).contains(&minute));
            dice.poisson(burst.map_or(base, |(_, _, rate)| *rate))
        });
        assert_well_formed(&events);
    }
}
