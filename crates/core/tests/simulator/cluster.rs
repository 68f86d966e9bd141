//! All parts together, interleaved by chance, with faults, until everything is read; and the judgement of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use groundswell_core::{
    Catalogue, Complaint, Config, ConfigHash, Event, Lexicon, Outcome, OutcomeCounts, Record,
};

use crate::simulator::Bug;
use crate::simulator::detect::Detect;
use crate::simulator::dice::Dice;
use crate::simulator::ingest::{Committed, Scene, Worker};
use crate::simulator::schedule::{Schedule, Topic};
use crate::simulator::world::World;

/// How long before a minute can be closed something begins to happen.
const NEAR_MS: i64 = 1_500;
/// Steps after which a run is taken to be stuck; a sound one takes some thousands.
const STEPS_MAX: usize = 100_000;

/// What is shared by all schedules.
#[derive(Debug)]
pub(crate) struct Simulator {
    config: Config,
    hash: ConfigHash,
    worlds: Vec<World>,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Other events than those of a plain replay.
    Events,
    /// A complaint came after its minute was closed.
    Late,
    /// Other numbers of complaints.
    Outcomes,
    /// Something is kept of minutes that are closed.
    Leftovers,
    /// It did not come to an end.
    Stuck,
    /// The core broke off.
    Panic,
}

/// What went wrong, and how it shows.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) wrong: Wrong,
    pub(crate) text: String,
}

/// How much of what is to be simulated has happened.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) n_redelivered: u64,
    pub(crate) n_crashes: u64,
    pub(crate) n_zombies: u64,
    pub(crate) n_rebalances: u64,
    pub(crate) n_restored: u64,
    pub(crate) n_gone_back: u64,
    /// The longest that a minute stayed open after its end while the detect role had nothing to read.
    pub(crate) lag_ms_max: i64,
}

impl Happened {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            n_redelivered: self.n_redelivered + other.n_redelivered,
            n_crashes: self.n_crashes + other.n_crashes,
            n_zombies: self.n_zombies + other.n_zombies,
            n_rebalances: self.n_rebalances + other.n_rebalances,
            n_restored: self.n_restored + other.n_restored,
            n_gone_back: self.n_gone_back + other.n_gone_back,
            lag_ms_max: self.lag_ms_max.max(other.lag_ms_max),
        }
    }
}

impl Simulator {
    pub(crate) fn new() -> Self {
        let config = Config::default();
        let hash = ConfigHash::of(&config, &Catalogue::default(), &Lexicon::default());
        // Of each width one with a feed that is silent for a while, and one without.
        let worlds = [1, 1, 2, 2, 3, 3, 12, 12];
        let worlds: Vec<World> = (0..).zip(worlds).map(|(seed, n)| World::new(&config, seed, n)).collect();
        assert!(worlds.iter().any(World::has_silence), "a world with a feed that is silent is there");
        Self { config, hash, worlds }
    }

    /// Runs one schedule, which ends in what happened or in what went wrong.
    pub(crate) fn run(&self, seed: u64, bug: Option<Bug>) -> Result<Happened, Failure> {
        let how = bug.map_or_else(String::new, |bug| format!(" with {bug:?}"));
        self.follow(Schedule::draw(seed, &self.worlds), bug).map_err(|Failure { wrong, text }| {
            let text = format!("GROUNDSWELL_SEED={seed}{how}: {wrong:?}: {text}");
            Failure { wrong, text }
        })
    }

    /// Runs a schedule without faults.
    pub(crate) fn run_calm(&self) -> Result<Happened, Failure> {
        self.follow(Schedule::calm(&self.worlds), None)
    }

    fn follow(&self, (schedule, mut dice): (Schedule, Dice), bug: Option<Bug>) -> Result<Happened, Failure> {
        let world = &self.worlds[schedule.world];
        let run = || {
            let topic = Topic::deliver(world, &schedule, &mut dice);
            let (config, hash) = (&self.config, self.hash);
            let scene = Scene { config, hash, world, topic: &topic, schedule: &schedule, bug };
            Cluster::new(scene, dice).run()
        };
        let ended = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            Err(Failure { wrong: Wrong::Panic, text: "the core broke off, see above".to_owned() })
        });
        let with_schedule = |text| format!("{text}\nin {schedule:#?}");
        ended.map_err(|Failure { wrong, text }| Failure { wrong, text: with_schedule(text) })
    }
}

struct Cluster<'a> {
    scene: Scene<'a>,
    dice: Dice,
    now_ms: i64,
    committed: Vec<Committed>,
    workers: Vec<Worker>,
    /// The complaints log.
    log: Vec<Record>,
    detect: Detect,
    happened: Happened,
}

impl<'a> Cluster<'a> {
    fn new(scene: Scene<'a>, mut dice: Dice) -> Self {
        let schedule = scene.schedule;
        let mut committed = vec![Committed::nothing(); schedule.n_partitions];
        let mut workers: Vec<Worker> = (0..schedule.n_workers).map(|_| Worker::new(&mut dice)).collect();
        for (partition, committed) in committed.iter_mut().enumerate() {
            let worker = &mut workers[partition % schedule.n_workers];
            worker.take_over(&scene, committed, partition, schedule.starts_at_ms);
        }
        Self {
            detect: Detect::new(&scene),
            now_ms: schedule.starts_at_ms,
            committed,
            workers,
            log: Vec::new(),
            happened: Happened::default(),
            scene,
            dice,
        }
    }

    fn run(mut self) -> Result<Happened, Failure> {
        for _ in 0..STEPS_MAX {
            self.step();
            if self.committed.iter().all(|committed| committed.is_finished) {
                // Whoever does not know yet that it is over goes on for a while.
                (0..self.dice.below(100)).for_each(|_| self.step());
                self.drain();
                return self.judge();
            }
        }
        Err(Failure { wrong: Wrong::Stuck, text: format!("not over after {STEPS_MAX} steps") })
    }

    fn step(&mut self) {
        let schedule = self.scene.schedule;
        self.now_ms += (self.dice.uniform() * schedule.tick_ms_max) as i64;
        if self.dice.chance(schedule.leap_chance) {
            self.now_ms += (self.dice.uniform() * schedule.leap_ms_max) as i64;
            if self.dice.chance(0.5) {
                // To where a moment more or less decides.
                self.now_ms = World::next_close_ms(self.now_ms + NEAR_MS) - self.dice.between(0, NEAR_MS);
            }
        }
        if self.dice.chance(0.3) {
            self.step_detect();
        } else {
            let number = self.dice.below(self.workers.len());
            let Self { scene, committed, log, dice, .. } = self;
            let worker = &mut self.workers[number];
            if worker.paused_until_ms <= self.now_ms {
                worker.step(scene, self.now_ms, committed, log, dice);
            }
        }
        self.meet_faults();
    }

    fn step_detect(&mut self) {
        let n_max = 1 + self.dice.below(4 * self.scene.schedule.batch_max);
        self.detect.read(&self.scene, &self.log, n_max);
        if let Some(ended) = self.detect.oldest_open(self.scene.config)
            && self.detect.is_at_end(&self.log)
        {
            self.happened.lag_ms_max = self.happened.lag_ms_max.max(self.now_ms - ended.as_ms());
        }
        if self.dice.chance(0.2) {
            self.detect.commit(&self.scene, &mut self.dice);
        }
    }

    fn meet_faults(&mut self) {
        let schedule = self.scene.schedule;
        if self.dice.chance(schedule.pause_chance) {
            let until_ms = self.now_ms + self.dice.log_uniform(1_000.0, 900_000.0) as i64;
            self.any_worker().paused_until_ms = until_ms;
        }
        if self.dice.chance(schedule.crash_chance) {
            let worker = self.take_any_worker();
            let partitions = worker.own_partitions(&self.committed);
            worker.crash(&mut self.log, &mut self.dice);
            self.hand_over(&partitions);
            self.happened.n_crashes += 1;
        }
        if self.dice.chance(schedule.zombie_chance) {
            // All its partitions are given to others, and it does not know.
            let zombie = self.take_any_worker();
            self.hand_over(&zombie.own_partitions(&self.committed));
            self.workers.push(zombie);
            self.happened.n_zombies += 1;
        }
        if self.dice.chance(schedule.rebalance_chance) {
            self.rebalance();
        }
        if self.dice.chance(schedule.detect_crash_chance) {
            self.detect.crash(&self.scene, &mut self.dice);
        }
        self.dismiss();
    }

    fn any_worker(&mut self) -> &mut Worker {
        let number = self.dice.below(self.workers.len());
        &mut self.workers[number]
    }

    fn take_any_worker(&mut self) -> Worker {
        let number = self.dice.below(self.workers.len());
        self.workers.remove(number)
    }

    /// Gives partitions to workers, old ones or new ones, that begin at what was committed.
    fn hand_over(&mut self, partitions: &[usize]) {
        for &partition in partitions {
            if self.workers.is_empty() || self.dice.chance(0.3) {
                self.workers.push(Worker::new(&mut self.dice));
            }
            let number = self.dice.below(self.workers.len());
            let committed = &mut self.committed[partition];
            self.workers[number].take_over(&self.scene, committed, partition, self.now_ms);
        }
    }

    /// Moves a partition from one worker to another, which the first may know in time or not.
    fn rebalance(&mut self) {
        let mut worker = self.take_any_worker();
        let partitions = worker.own_partitions(&self.committed);
        if !partitions.is_empty() {
            let partition = partitions[self.dice.below(partitions.len())];
            if self.dice.chance(0.5) {
                worker.give_up(&self.scene, partition, &mut self.committed, &mut self.log);
            }
            self.hand_over(&[partition]);
            self.happened.n_rebalances += 1;
        }
        self.workers.push(worker);
    }

    /// Workers without tasks write what they still have to tell, or do not, and go.
    fn dismiss(&mut self) {
        if self.workers.len() > self.scene.schedule.n_workers
            && let Some(number) = self.workers.iter().position(Worker::has_no_tasks)
        {
            self.workers.remove(number).crash(&mut self.log, &mut self.dice);
        }
    }

    /// Lets everybody write what was told, and the detect role read it.
    fn drain(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.flush(&mut self.log));
        while !self.detect.is_at_end(&self.log) {
            self.step_detect();
        }
        self.detect.commit(&self.scene, &mut self.dice);
    }

    fn judge(self) -> Result<Happened, Failure> {
        let fail = |wrong, text| Err(Failure { wrong, text });
        let reference = &self.scene.world.reference;
        let distinct = match self.detect.distinct() {
            Ok(distinct) => distinct,
            Err(text) => return fail(Wrong::Events, text),
        };
        let has_duplicates = self.scene.schedule.n_duplicates > 0;
        let is_compared = |event: &&Event| match event {
            Event::Outage(_) => true,
            // A feed with more posts is another feed, and how long nobody posts before the input is taken to be over is
            // the schedule's affair.
            Event::Feed(feed) => !has_duplicates && feed.time <= reference.end,
        };
        let ours: Vec<&Event> = distinct.into_iter().filter(is_compared).collect();
        let plain: Vec<&Event> = reference.events.iter().filter(is_compared).collect();
        if let Some(text) = first_difference(&ours, &plain) {
            return fail(Wrong::Events, text);
        }
        let is_sent_twice = |complaint: &&Complaint| self.scene.topic.sent_twice.contains(&complaint.post_id);
        if let Some(late) = self.detect.late.iter().find(|complaint| !is_sent_twice(complaint)) {
            return fail(Wrong::Late, format!("{late:?}"));
        }
        let (ours, plain) = (self.detect.outcomes(), &reference.outcomes);
        let is_same = if !has_duplicates {
            ours == plain
        } else {
            ours.of(Outcome::Complaint) == plain.of(Outcome::Complaint)
        };
        if !is_same {
            let counts = |counts: &OutcomeCounts| counts.occurred().collect::<Vec<_>>();
            return fail(Wrong::Outcomes, format!("{:?}, not {:?}", counts(ours), counts(plain)));
        }
        if let Some(text) = self.detect.leftovers() {
            return fail(Wrong::Leftovers, text);
        }
        Ok(Happened {
            n_redelivered: self.detect.n_redelivered,
            n_restored: self.detect.n_restored,
            n_gone_back: self.detect.has_gone_back.into(),
            ..self.happened
        })
    }
}

fn first_difference(ours: &[&Event], plain: &[&Event]) -> Option<String> {
    let differs = |nth: &usize| ours.get(*nth) != plain.get(*nth);
    let nth = (0..ours.len().max(plain.len())).find(differs)?;
    Some(format!("event {nth} is {:#?}, not {:#?}", ours.get(nth), plain.get(nth)))
}
