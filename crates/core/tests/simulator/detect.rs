//! The detect role as its adapter must be: events, state and the offset to read on from are committed together.

use std::collections::BTreeMap;

use groundswell_core::{
    Arrival, Complaint, Config, Confluence, Event, EventTime, FeedEventKind, OutcomeCounts, Record,
    ServiceIndex, Telling,
};

use crate::simulator::Bug;
use crate::simulator::dice::Dice;
use crate::simulator::ingest::Scene;

/// What identifies an event, whoever publishes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventId {
    Outage(ServiceIndex, EventTime, u32),
    Feed(EventTime, bool),
}

fn id_of(event: &Event) -> EventId {
    match event {
        Event::Outage(outage) => EventId::Outage(outage.service, outage.opened_at, outage.sequence),
        Event::Feed(feed) => EventId::Feed(feed.time, feed.kind == FeedEventKind::Silent),
    }
}

/// What is there after a commit.
#[derive(Debug, Clone, Default)]
struct Committed {
    /// The compacted state topic.
    state: BTreeMap<String, Vec<u8>>,
    next_offset: usize,
}

/// The detect role and what it has published.
#[derive(Debug)]
pub(crate) struct Detect {
    confluence: Confluence,
    next_offset: usize,
    /// Events of the transaction that is not committed yet.
    pending: Vec<Event>,
    committed: Committed,
    /// Older copies of what was committed.
    copies: Vec<Committed>,
    published: Vec<Event>,
    /// Whether state was restored that is older than what was published.
    pub(crate) has_gone_back: bool,
    pub(crate) n_redelivered: u64,
    pub(crate) n_restored: u64,
    pub(crate) late: Vec<Complaint>,
    /// Grows with every record; the place of one that is passed off as new.
    n_handled: i64,
}

impl Detect {
    pub(crate) fn new(scene: &Scene<'_>) -> Self {
        Self {
            confluence: Confluence::new(scene.config.clone()),
            next_offset: 0,
            pending: Vec::new(),
            committed: Committed::default(),
            copies: Vec::new(),
            published: Vec::new(),
            has_gone_back: false,
            n_redelivered: 0,
            n_restored: 0,
            late: Vec::new(),
            n_handled: 0,
        }
    }

    pub(crate) fn is_at_end(&self, log: &[Record]) -> bool {
        self.next_offset >= log.len()
    }

    pub(crate) fn outcomes(&self) -> &OutcomeCounts {
        self.confluence.outcomes()
    }

    /// The end of the oldest minute that is open.
    pub(crate) fn oldest_open(&self, config: &Config) -> Option<EventTime> {
        self.confluence.detector().next_bin().map(|bin| config.bin_width.end_of(bin))
    }

    /// What is kept of minutes although all are closed.
    pub(crate) fn leftovers(&self) -> Option<String> {
        let n_held = self.confluence.detector().n_held();
        let keys: Vec<&String> = self.committed.state.keys().filter(|key| key.starts_with("open/")).collect();
        (n_held > 0 || !keys.is_empty()).then(|| format!("{n_held} complaints are held, {keys:?} are there"))
    }

    /// Reads up to `n_max` records.
    pub(crate) fn read(&mut self, scene: &Scene<'_>, log: &[Record], n_max: usize) {
        let unread = log.get(self.next_offset..).unwrap_or_default();
        for record in unread.iter().take(n_max) {
            let mut record = record.clone();
            if matches!(scene.bug, Some(Bug::NoDeduplication | Bug::StateWithoutOffset)) {
                self.pass_off_as_new(&mut record);
            }
            let complaint = match &record.telling {
                Telling::Complaint { complaint, .. } => Some(complaint.clone()),
                Telling::Mark(_) | Telling::Gap { .. } => None,
            };
            match self.confluence.handle_record(record) {
                Arrival::Used => {}
                Arrival::Redelivered => self.n_redelivered += 1,
                Arrival::Late => self.late.extend(complaint),
            }
            self.pending.extend(std::iter::from_fn(|| self.confluence.poll()));
            self.next_offset += 1;
        }
    }

    pub(crate) fn commit(&mut self, scene: &Scene<'_>, dice: &mut Dice) {
        if scene.schedule.old_state_chance > 0.0 && dice.chance(0.2) {
            self.copies.push(self.committed.clone());
        }
        self.published.append(&mut self.pending);
        let next_offset = i64::try_from(self.next_offset).expect("the log is short");
        for change in self.confluence.take_changes(scene.hash, next_offset) {
            match change.value {
                Some(value) => self.committed.state.insert(change.key, value),
                None => self.committed.state.remove(&change.key),
            };
        }
        self.committed.next_offset = self.next_offset;
    }

    /// Loses what was not committed, and starts again from what was.
    pub(crate) fn crash(&mut self, scene: &Scene<'_>, dice: &mut Dice) {
        self.pending.clear();
        self.n_restored += 1;
        if !self.copies.is_empty() && dice.chance(scene.schedule.old_state_chance) {
            // Everything younger is gone with it.
            self.copies.truncate(1 + dice.below(self.copies.len()));
            self.committed = self.copies.last().cloned().expect("at least one is left");
            self.has_gone_back = true;
        }
        let Committed { state, next_offset } = &self.committed;
        let restored =
            Confluence::restore(scene.config, scene.hash, state).expect("what was written is whole");
        let (confluence, restored_offset) =
            restored.unwrap_or_else(|| (Confluence::new(scene.config.clone()), 0));
        assert_eq!(usize::try_from(restored_offset), Ok(*next_offset), "the state knows where to read on");
        self.confluence = confluence;
        self.next_offset = match scene.bug {
            Some(Bug::OffsetBeforeState) => self.next_offset,
            Some(Bug::OffsetOffByOne) => next_offset + 1,
            Some(Bug::StateWithoutOffset | Bug::StateBeforeOffset) => dice.below(next_offset + 1),
            _ => *next_offset,
        };
    }

    fn pass_off_as_new(&mut self, record: &mut Record) {
        self.n_handled += 1;
        match &mut record.telling {
            Telling::Complaint { offset, .. } => *offset = self.n_handled,
            Telling::Mark(mark) => (mark.offset, mark.settled) = (self.n_handled, self.n_handled),
            Telling::Gap { .. } => {}
        }
    }

    /// What was published, each event once.
    ///
    /// # Errors
    /// If an event was published again with other content, or although no old state was restored.
    pub(crate) fn distinct(&self) -> Result<Vec<&Event>, String> {
        let mut distinct: Vec<&Event> = Vec::new();
        let mut known: BTreeMap<EventId, &Event> = BTreeMap::new();
        for event in &self.published {
            match known.get(&id_of(event)) {
                None => {
                    known.insert(id_of(event), event);
                    distinct.push(event);
                }
                Some(_) if !self.has_gone_back => return Err(format!("published twice: {event:?}")),
                Some(&first) if first == event => {}
                Some(first) => return Err(format!("published again otherwise: {event:?}, first {first:?}")),
            }
        }
        Ok(distinct)
    }
}
