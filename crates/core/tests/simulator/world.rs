//! What people post, and what a plain replay makes of it: the truth that every schedule is held against.
//!
//! A world is five hours of a few services: more than two in which it is learned what is normal, then an outage of one
//! and a short burst of another, both long over when the posts end. The end must be quiet because time goes on when
//! nobody posts, and how long it does before the input is taken to be over differs from schedule to schedule.

use groundswell_core::{
    BinWidth, Catalogue, Complaint, Config, Detector, Event, EventKind, EventTime, Intake, LanguageTag,
    Outcome, OutcomeCounts, ServiceIndex, Symptom, Symptoms,
};

use crate::simulator::dice::Dice;

const MINUTE_MS: i64 = 60_000;
const N_MINUTES: i64 = 300;
/// 2023-11-13T00:00:45Z. The seconds put the first bin of every source into the same minute, whichever of the first
/// posts it got: watching begins with the first of them.
const START_MS: i64 = 1_699_833_645_000;
/// When a minute of posts ends, after the start of each minute of the world.
const MINUTE_END_MS: i64 = 15_000;
/// When it can be closed, the allowed lateness after its end.
const MINUTE_CLOSED_MS: i64 = MINUTE_END_MS + 30_000;
/// How many posts come just before or just after one of these, where a moment more or less decides; and how near.
const NEAR_CHANCE: f64 = 0.25;
const NEAR_MS: i64 = 400;
/// Each partition gets a post that complains of nothing this often: often enough that most of its posts are not set
/// aside for being ahead of the others, and seldom enough that some are.
const CHATTER_MS: i64 = 40_000;
/// Complaints a minute when all is well.
const BASE_RATES: [f64; 4] = [0.1, 0.3, 0.8, 0.05];

/// A post that has been judged.
#[derive(Debug)]
pub(crate) struct Post {
    /// When it was really posted.
    pub(crate) posted_ms: i64,
    /// When it says it was.
    pub(crate) event_time: EventTime,
    pub(crate) complaint: Option<Complaint>,
}

impl Post {
    pub(crate) fn outcome(&self) -> Outcome {
        if self.complaint.is_some() { Outcome::Complaint } else { Outcome::NoService }
    }

    /// Whether its date is wrong: far in the future, or so long ago that it is late.
    pub(crate) fn is_misdated(&self) -> bool {
        self.event_time.as_ms() != self.posted_ms
    }
}

/// What comes of the posts, read one by one in their order.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) events: Vec<Event>,
    pub(crate) outcomes: OutcomeCounts,
    /// The end of the last minute.
    pub(crate) end: EventTime,
}

/// Posts in the order in which they were posted.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) n_partitions: usize,
    pub(crate) posts: Vec<Post>,
    pub(crate) reference: Reference,
}

impl World {
    pub(crate) const START_MS: i64 = START_MS;
    pub(crate) const END_MS: i64 = START_MS + N_MINUTES * MINUTE_MS;

    /// The first time from `ms` on at which a minute can be closed, if posts have come that far.
    pub(crate) fn next_close_ms(ms: i64) -> i64 {
        ms + (START_MS + MINUTE_CLOSED_MS - ms).rem_euclid(MINUTE_MS)
    }

    /// A world for a topic of so many partitions.
    pub(crate) fn new(config: &Config, seed: u64, n_partitions: usize) -> Self {
        let mut maker = Maker::new(seed);
        maker.chatter(n_partitions);
        maker.complaints();
        maker.misdated();
        let silence = maker.silence.clone();
        let mut posts = maker.posts;
        posts.retain(|post| !silence.contains(&post.posted_ms));
        posts.sort_by_key(|post| post.posted_ms);
        let reference = replay(config, &posts);
        let world = Self { n_partitions, posts, reference };
        world.assert_eventful(seed);
        world
    }

    /// Whether the feed is found silent.
    pub(crate) fn has_silence(&self) -> bool {
        self.reference.events.iter().any(|event| matches!(event, Event::Feed(_)))
    }

    /// A world in which nothing happens would prove nothing.
    fn assert_eventful(&self, seed: u64) {
        let outages = self.reference.events.iter().filter_map(|event| match event {
            Event::Outage(outage) => Some(outage.as_ref()),
            Event::Feed(_) => None,
        });
        for kind in [EventKind::Started, EventKind::Ended] {
            assert!(outages.clone().any(|outage| outage.kind == kind), "world {seed} has no event {kind:?}");
        }
        let n_open = outages.map(|outage| match outage.kind {
            EventKind::Ended | EventKind::Retracted => -1,
            EventKind::Suspected | EventKind::Started | EventKind::Updated => i32::from(outage.sequence == 1),
        });
        assert_eq!(n_open.sum::<i32>(), 0, "every outage of world {seed} is over in the end");
        for outcome in [Outcome::Complaint, Outcome::DuplicateAuthor, Outcome::RepeatedText] {
            assert!(self.reference.outcomes.of(outcome) > 0, "world {seed} has no outcome {outcome:?}");
        }
    }
}

/// Joins an intake and a detector, as the pipeline does for posts with texts.
fn replay(config: &Config, posts: &[Post]) -> Reference {
    let (mut intake, mut detector) = (Intake::new(config), Detector::new(config.clone()));
    let settle = |intake: &mut Intake, detector: &mut Detector| {
        while let Some(admitted) = intake.poll_admitted() {
            if let Some(complaint) = admitted.complaint {
                detector.handle_complaint(complaint);
            }
        }
        if let (Some(first), Some(open_from)) = (intake.first_bin(), intake.open_from()) {
            detector.begin(first);
            if detector.next_bin().is_some_and(|next| next < open_from) {
                detector.close_until(open_from, Some(intake.n_posts()));
                intake.forget_posts_before(open_from);
            }
        }
    };
    for (ticket, post) in (0..).zip(posts) {
        intake.handle_post(ticket, post.event_time, post.outcome(), post.complaint.clone());
        settle(&mut intake, &mut detector);
    }
    intake.finish();
    settle(&mut intake, &mut detector);
    detector.close_until_end(intake.frontier(), Some(intake.n_posts()));
    let events = std::iter::from_fn(|| detector.poll()).collect();
    let next_bin = detector.next_bin().expect("a world has minutes");
    let end = config.bin_width.start_of(next_bin);
    Reference { events, outcomes: detector.outcomes().clone(), end }
}

/// Makes the posts of a world.
struct Maker {
    dice: Dice,
    services: Vec<ServiceIndex>,
    authors: Vec<u64>,
    posts: Vec<Post>,
    /// What each service suffers: minutes and complaints a minute.
    outages: Vec<(usize, std::ops::Range<i64>, f64)>,
    /// A time in which nobody posts at all; it may fall into the outage.
    silence: std::ops::Range<i64>,
}

impl Maker {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let ids = ["s0", "s1", "s2", "s3"];
        let catalogue = Catalogue::of_ids(ids);
        let services = ids.iter().filter_map(|id| catalogue.index_of(id)).collect();
        let (outage, burst) = (dice.between(165, 190), dice.between(155, 220));
        let (n_outage, n_burst) = (dice.between(25, 40), dice.between(6, 12));
        let (rate, burst_rate) = (5.0 + 4.0 * dice.uniform(), 1.0 + dice.uniform());
        let outages = vec![(1, outage..outage + n_outage, rate), (0, burst..burst + n_burst, burst_rate)];
        // In one half of the worlds long enough for the feed to be found silent.
        let (silent_from, n_silent) = if seed.is_multiple_of(2) {
            (outage + 10, dice.between(6, 14))
        } else {
            (dice.between(60, 190), dice.between(2, 3))
        };
        let silent_from = START_MS + silent_from * MINUTE_MS;
        let silence = silent_from..silent_from + n_silent * MINUTE_MS;
        Self { dice, services, authors: Vec::new(), posts: Vec::new(), outages, silence }
    }

    fn chatter(&mut self, n_partitions: usize) {
        let n_partitions = i64::try_from(n_partitions).expect("there are few partitions");
        let step_ms = CHATTER_MS / n_partitions;
        for nth in 0..N_MINUTES * MINUTE_MS / step_ms {
            let jitter_ms = self.dice.between(0, step_ms - 1);
            let mut posted_ms = START_MS + nth * step_ms + jitter_ms;
            if self.dice.chance(NEAR_CHANCE) {
                let into_minute_ms = (posted_ms - START_MS) % MINUTE_MS;
                posted_ms += MINUTE_CLOSED_MS + self.dice.between(0, NEAR_MS) - into_minute_ms;
            }
            self.push(posted_ms, 0, None);
        }
    }

    fn complaints(&mut self) {
        // Later than the first posts of every source, so that these are the first that are borne out.
        for minute in 4..N_MINUTES {
            for (number, base_rate) in BASE_RATES.into_iter().enumerate() {
                let struck = |(service, during, _): &&(usize, std::ops::Range<i64>, f64)| {
                    *service == number && during.contains(&minute)
                };
                let rate = self.outages.iter().find(struck).map_or(base_rate, |&(_, _, rate)| rate);
                for _ in 0..self.dice.poisson(rate) {
                    let is_near = self.dice.chance(NEAR_CHANCE);
                    let (from, to) =
                        if is_near { (MINUTE_END_MS - NEAR_MS, MINUTE_END_MS) } else { (0, MINUTE_MS) };
                    let posted_ms = START_MS + minute * MINUTE_MS + self.dice.between(from, to - 1);
                    let complaint = self.complaint(posted_ms, number);
                    self.push(posted_ms, 0, Some(complaint));
                }
            }
        }
    }

    /// Posts from the far future and from more than half an hour ago, some of which complain. Not among the last posts:
    /// what comes after them is all that speaks against them.
    fn misdated(&mut self) {
        for nth in 0..12 {
            let posted_ms = START_MS + self.dice.between(45, N_MINUTES - 30) * MINUTE_MS + nth;
            let off_ms = match nth % 3 {
                0 => self.dice.between(35, 40) * -MINUTE_MS,
                1 => self.dice.between(120, 600) * MINUTE_MS,
                _ => self.dice.between(1, 50) * 525_960 * MINUTE_MS,
            };
            let service = self.dice.below(self.services.len());
            let complaint = (nth < 9).then(|| self.complaint(posted_ms + off_ms, service));
            self.push(posted_ms, off_ms, complaint);
        }
    }

    fn push(&mut self, posted_ms: i64, off_ms: i64, complaint: Option<Complaint>) {
        self.posts.push(Post { posted_ms, event_time: time(posted_ms + off_ms), complaint });
    }

    fn complaint(&mut self, event_ms: i64, service: usize) -> Complaint {
        let is_known = !self.authors.is_empty() && self.dice.chance(0.2);
        let author =
            if is_known { self.authors[self.dice.below(self.authors.len())] } else { self.dice.next() };
        self.authors.push(author);
        let mut about = vec![(self.services[service], self.symptoms())];
        if self.dice.chance(0.05) {
            about.push((self.services[(service + 1) % self.services.len()], self.symptoms()));
        }
        Complaint {
            event_time: time(event_ms),
            post_id: format!("p{}", self.posts.len()).into(),
            author,
            long_text: self.dice.chance(0.6).then_some(service as u64),
            about,
            language: LanguageTag::primary_of(["en", "es", "ja"][self.dice.below(3)]),
            country: self.dice.chance(0.5).then(|| [*b"GB", *b"MX"][self.dice.below(2)]),
        }
    }

    fn symptoms(&mut self) -> Symptoms {
        let mut symptoms = Symptoms::default();
        symptoms.insert(Symptom::ALL[self.dice.below(4)]);
        symptoms
    }
}

fn time(ms: i64) -> EventTime {
    debug_assert_eq!(BinWidth::MINUTE.seconds(), 60, "minutes are bins here");
    EventTime::from_ms(ms).expect("worlds lie between 1970 and 3000")
}
