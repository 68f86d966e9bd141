//! One partition of the posts topic: what is told of its posts, in their order.

use std::collections::BTreeMap;

use groundswell_core::{
    Admitted, EventTime, Intake, Judge, Judgement, Mark, Outcome, OutcomeCounts, Record, SourceId, Telling,
};
use groundswell_io::decode::{Rejection, decode};
use groundswell_io::lines::LINE_BYTES_MAX;

use crate::replaying::rejection;

/// Wall clock after which an idle partition's posts that wait for others are taken as they are, milliseconds: in a
/// sparse partition the next post may be hours away. Short enough for an alert, and longer than a broker's restart.
const QUIET_MS: i64 = 60_000;

/// A post that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) rejection: Rejection,
    pub(super) offset: i64,
    /// Its bytes; `None` if it was read before a restart.
    pub(super) raw: Option<Vec<u8>>,
}

/// What a partition has to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Record(Record),
    Unusable(Unusable),
}

/// One partition that is being read.
#[derive(Debug)]
pub(super) struct Partition {
    source: SourceId,
    n_partitions: u32,
    intake: Intake,
    /// The next offset to read.
    next_offset: i64,
    read_at_ms: i64,
    idle_as_of_ms: Option<i64>,
    /// Where the input is taken to be over.
    end: Option<i64>,
    is_finished: bool,
    /// Whether something has changed since the last mark.
    is_unmarked: bool,
    /// Whether something has changed since the last commit.
    is_uncommitted: bool,
    /// Posts that are set aside, for their dead letters.
    set_aside: BTreeMap<i64, Vec<u8>>,
}

impl Partition {
    pub(super) fn new(
        source: SourceId,
        n_partitions: u32,
        intake: Intake,
        next_offset: i64,
        end: Option<i64>,
    ) -> Self {
        Self {
            source,
            n_partitions,
            intake,
            next_offset,
            read_at_ms: 0,
            idle_as_of_ms: None,
            end,
            is_finished: false,
            is_unmarked: true,
            is_uncommitted: true,
            set_aside: BTreeMap::new(),
        }
    }

    /// The same, where the post before was read then. The quiet after it goes on while nobody watches: the posts of that
    /// time are on the topic.
    pub(super) fn resumed(self, read_at_ms: i64) -> Self {
        Self { read_at_ms, ..self }
    }

    /// When the last post was read, wall clock.
    pub(super) fn read_at_ms(&self) -> i64 {
        self.read_at_ms
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Whether there is something to commit.
    pub(super) fn is_uncommitted(&self) -> bool {
        self.is_uncommitted
    }

    /// What there is has been committed.
    pub(super) fn note_committed(&mut self) {
        self.is_uncommitted = false;
    }

    pub(super) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(super) fn frontier(&self) -> Option<EventTime> {
        self.intake.frontier()
    }

    pub(super) fn intake(&self) -> &Intake {
        &self.intake
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle_as_of_ms.is_some()
    }

    /// Takes the post at `offset`, read at `now_ms`; what is to be said of it goes to `say`.
    pub(super) fn handle_post(
        &mut self,
        (offset, raw, now_ms): (i64, &[u8], i64),
        (judge, judgement): (&Judge, &mut Judgement),
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        if offset < self.next_offset || self.is_finished {
            return;
        }
        self.next_offset = offset + 1;
        self.read_at_ms = now_ms;
        self.idle_as_of_ms = None;
        self.note_change();
        let mut reject = |rejection: Rejection| {
            outcomes.record(rejection.outcome);
            if rejection.outcome.is_dead_letter() {
                say(Said::Unusable(Unusable { rejection, offset, raw: Some(raw.to_vec()) }));
            }
        };
        if raw.len() > LINE_BYTES_MAX {
            let detail = "the message is over 1 MiB".to_owned();
            return reject(Rejection { outcome: Outcome::TooLong, detail });
        }
        let decoded = match decode(raw) {
            Ok(decoded) => decoded,
            Err(rejection) => return reject(rejection),
        };
        let post = decoded.as_post();
        let outcome = judge.judge(&post, judgement);
        if outcome == Outcome::TooLong {
            return reject(rejection(outcome, None));
        }
        let ticket = offset.unsigned_abs();
        self.intake.handle_post(ticket, post.event_time, outcome, judgement.take_complaint());
        self.settle(Some((ticket, raw)), outcomes, say);
        if self.intake.is_set_aside(ticket) {
            self.set_aside.insert(offset, raw.to_vec());
        }
    }

    /// The partition was found to have no more posts at `now_ms`.
    pub(super) fn handle_idle(
        &mut self,
        now_ms: i64,
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        let Some(now) = EventTime::from_ms(now_ms) else { return };
        let is_quiet = now_ms - self.read_at_ms >= QUIET_MS;
        if is_quiet && self.intake.is_waiting_at(now) {
            self.intake.handle_quiet(now);
            self.settle(None, outcomes, say);
            self.note_change();
        }
        // What waits for others may yet be told. What is dated ahead of the clock, or spoken against and then followed by
        // nothing, is not waited for.
        if is_quiet || !self.intake.is_waiting_at(now) {
            self.is_uncommitted |= !self.is_idle();
            self.idle_as_of_ms = Some(now_ms);
            self.is_unmarked = true;
        }
    }

    /// Ends the input if its end is reached: by the last post, or, where `is_at_end` says so, by what comes behind it and
    /// is none, as the marks of transactions.
    pub(super) fn finish_at_end(
        &mut self,
        is_at_end: bool,
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        let Some(end) = self.end else { return };
        if !self.is_finished && (self.next_offset >= end || is_at_end) {
            self.next_offset = self.next_offset.max(end);
            self.is_finished = true;
            self.note_change();
            self.intake.finish();
            self.settle(None, outcomes, say);
        }
    }

    /// Offsets `[next_offset, to)` are lost.
    pub(super) fn skip_to(&mut self, to: i64, say: &mut dyn FnMut(Said)) {
        let telling = Telling::Gap { from: self.next_offset, to };
        say(Said::Record(Record { source: self.source.clone(), telling }));
        self.next_offset = to;
        self.note_change();
    }

    fn note_change(&mut self) {
        self.is_unmarked = true;
        self.is_uncommitted = true;
    }

    /// How far this partition has come, if that has changed since it was last asked.
    pub(super) fn mark(&mut self) -> Option<Record> {
        if !std::mem::take(&mut self.is_unmarked) {
            return None;
        }
        let mark = Mark {
            offset: self.next_offset - 1,
            settled: self.intake.first_set_aside().map_or(self.next_offset, u64::cast_signed),
            n_partitions: self.n_partitions,
            first_bin: self.intake.first_bin(),
            open_from: self.intake.open_from(),
            frontier: self.intake.frontier(),
            read_at_ms: self.read_at_ms,
            idle_as_of_ms: self.idle_as_of_ms,
            is_finished: self.is_finished,
            n_posts: self.intake.n_posts().iter().map(|(&bin, &n)| (bin, n)).collect(),
        };
        if let Some(open_from) = mark.open_from {
            self.intake.forget_posts_before(open_from);
        }
        Some(Record { source: self.source.clone(), telling: Telling::Mark(mark) })
    }

    fn settle(
        &mut self,
        current: Option<(u64, &[u8])>,
        outcomes: &mut OutcomeCounts,
        say: &mut dyn FnMut(Said),
    ) {
        while let Some(Admitted { ticket, outcome, complaint }) = self.intake.poll_admitted() {
            let offset = ticket.cast_signed();
            let kept = self.set_aside.remove(&offset);
            outcomes.record(outcome);
            if let Some(complaint) = complaint {
                let telling = Telling::Complaint { offset, complaint };
                say(Said::Record(Record { source: self.source.clone(), telling }));
            } else if outcome.is_dead_letter() {
                let raw = kept.or_else(|| Some(current.filter(|&(own, _)| own == ticket)?.1.to_vec()));
                let decoded = raw.as_deref().and_then(|raw| decode(raw).ok());
                let rejection = rejection(outcome, decoded.as_ref().and_then(|post| post.as_post().service));
                say(Said::Unusable(Unusable { rejection, offset, raw }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use groundswell_core::{Catalogue, Config, Lexicon};

    use super::*;

    const START_MS: i64 = 1_700_000_000_000;
    const NO_OFFSETS: [i64; 0] = [];

    struct World {
        judge: Judge,
        judgement: Judgement,
        outcomes: OutcomeCounts,
        partition: Partition,
    }

    impl World {
        fn new(end: Option<i64>) -> Self {
            let catalogue = Catalogue::load(true, &[]).expect("the built-in catalogue is sound");
            let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
            let config = Config::default();
            let source = SourceId { topic: "posts".into(), partition: 0 };
            Self {
                judge: Judge::new(&catalogue, lexicon, config.author_key),
                judgement: Judgement::default(),
                outcomes: OutcomeCounts::default(),
                partition: Partition::new(source, 1, Intake::new(&config), 0, end),
            }
        }

        /// Reads a message; gives what is said of it.
        fn read(&mut self, offset: i64, raw: &str) -> Vec<Said> {
            let mut said = Vec::new();
            let Self { judge, judgement, outcomes, partition } = self;
            let post = (offset, raw.as_bytes(), START_MS);
            partition.handle_post(post, (judge, judgement), outcomes, &mut |one| said.push(one));
            said
        }

        /// Complains at a second after the start.
        fn complain(&mut self, offset: i64, second: i64) -> Vec<Said> {
            let ms = START_MS + second * 1000;
            self.read(
                offset,
                &format!(
                    r#"{{"id":"{offset}","created_at":{ms},"author":"a{offset}","text":"spotify is down"}}"#
                ),
            )
        }

        fn idle(&mut self, seconds_later: i64) -> Vec<Said> {
            let mut said = Vec::new();
            let Self { outcomes, partition, .. } = self;
            partition.handle_idle(START_MS + seconds_later * 1000, outcomes, &mut |one| said.push(one));
            said
        }
    }

    /// The offsets of the posts that are told to be complaints.
    fn complaints(said: &[Said]) -> Vec<i64> {
        let offset = |one: &Said| match one {
            Said::Record(Record { telling: Telling::Complaint { offset, .. }, .. }) => Some(*offset),
            _ => None,
        };
        said.iter().filter_map(offset).collect()
    }

    /// What the partition's next mark says: the last offset that was read, from where on some may be set aside, whether it
    /// is idle.
    fn marked(world: &mut World) -> Option<(i64, i64, bool)> {
        match world.partition.mark()?.telling {
            Telling::Mark(mark) => Some((mark.offset, mark.settled, mark.idle_as_of_ms.is_some())),
            other => panic!("no mark: {other:?}"),
        }
    }

    #[test]
    fn a_post_that_was_set_aside_keeps_its_offset() {
        let mut world = World::new(None);
        for offset in 0..4 {
            assert_eq!(
                complaints(&world.complain(offset, offset)),
                NO_OFFSETS,
                "the first posts wait until there are five"
            );
        }
        assert_eq!(marked(&mut world), Some((3, 0, false)));
        assert_eq!(complaints(&world.complain(4, 4)), [0, 1, 2, 3, 4]);
        assert_eq!(marked(&mut world), Some((4, 5, false)));
        assert_eq!(complaints(&world.complain(5, 5)), [5]);
        assert_eq!(complaints(&world.complain(3, 3)), NO_OFFSETS, "what was read is not read again");
    }

    #[test]
    fn posts_of_a_quiet_partition_are_taken_after_a_minute_unless_they_are_dated_later() {
        let mut world = World::new(None);
        assert_eq!(complaints(&world.complain(0, 0)), NO_OFFSETS);
        assert_eq!(complaints(&world.complain(1, 7200)), NO_OFFSETS);
        world.partition.note_committed();
        assert_eq!(complaints(&world.idle(59)), NO_OFFSETS, "others may still speak");
        assert_eq!(marked(&mut world), Some((1, 0, false)), "it has something left to tell");
        assert!(!world.partition.is_uncommitted());
        assert_eq!(complaints(&world.idle(61)), [0], "the one that is not dated ahead of the clock");
        assert_eq!(marked(&mut world), Some((1, 1, true)));
        assert!(world.partition.is_uncommitted(), "whoever reads on must know what was decided");
        assert_eq!(complaints(&world.idle(7300)), [1], "and the other when its time has come");
    }

    #[test]
    fn a_post_that_was_spoken_against_does_not_keep_a_quiet_partition_busy() {
        let mut world = World::new(None);
        for offset in 0..5 {
            world.complain(offset, offset);
        }
        world.complain(5, 7200);
        world.complain(6, 6);
        assert_eq!(complaints(&world.idle(7300)), NO_OFFSETS);
        assert_eq!(marked(&mut world), Some((6, 5, true)));
    }

    #[test]
    fn the_end_of_the_input_decides_what_waits_and_is_marked() {
        let mut world = World::new(Some(1));
        assert_eq!(complaints(&world.complain(0, 0)), NO_OFFSETS);
        let mut said = Vec::new();
        world.partition.finish_at_end(false, &mut world.outcomes, &mut |one| said.push(one));
        assert_eq!(complaints(&said), [0]);
        assert!(world.partition.is_finished());
        assert_eq!(marked(&mut world), Some((0, 1, false)));
        assert_eq!(world.partition.mark(), None, "nothing has changed since");
        assert_eq!(world.complain(1, 1), [], "what comes after the end is left");
        assert_eq!(world.partition.next_offset(), 1);
    }

    #[test]
    fn the_end_of_the_input_need_not_be_a_post() {
        let mut world = World::new(Some(3));
        world.complain(0, 0);
        let finish = |world: &mut World, is_at_end| {
            let mut said = Vec::new();
            world.partition.finish_at_end(is_at_end, &mut world.outcomes, &mut |one| said.push(one));
            complaints(&said)
        };
        assert_eq!(finish(&mut world, false), NO_OFFSETS);
        assert_eq!(finish(&mut world, true), [0]);
        assert_eq!(world.partition.next_offset(), 3);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_offset_and_counted() {
        let mut world = World::new(None);
        let said = world.read(7, "no JSON");
        let [Said::Unusable(unusable)] = said.as_slice() else { panic!("{said:?}") };
        assert_eq!((unusable.offset, unusable.rejection.outcome), (7, Outcome::NotJson));
        assert_eq!(unusable.raw.as_deref(), Some("no JSON".as_bytes()));
        assert_eq!(world.outcomes.of(Outcome::NotJson), 1);
    }
}
