//! The figures that the project owes, as ratios within one run: `cargo bench -p groundswell`.
//!
//! Machines differ and are noisy, so each ratio comes from runs of both sides in turn, and the median is printed. The
//! posts are made here, seeded: texts of everyday words, a third naming a service, a tenth of those complaining.
//! `--quick` takes a tenth of the posts.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fs;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use made::{Dice, catalogue_text, name, post};

use groundswell_core::{
    BinWidth, Catalogue, Config, Detector, EventTime, Judge, Judgement, Lexicon, Pipeline, ServiceIndex,
    SourceText,
};
use groundswell_io::decode::decode;

mod made;

const ROUNDS: usize = 5;
/// Posts as lines of JSON, `per_minute` a minute, about services numbered below `n_services`.
fn posts(n_posts: usize, n_services: usize, per_minute: usize) -> Vec<String> {
    let mut dice = Dice(1);
    (0..n_posts).map(|number| post(number, n_services, per_minute, &mut dice)).collect()
}

struct Setup {
    catalogue: Catalogue,
    lexicon: Lexicon,
    config: Config,
}

impl Setup {
    fn of(n_services: usize) -> Self {
        let source = SourceText::new("bench", catalogue_text(n_services));
        let catalogue = Catalogue::load(false, &[source]).expect("a sound catalogue");
        let lexicon = Lexicon::load(true, &[]).expect("a sound lexicon");
        Self { catalogue, lexicon, config: Config::default() }
    }

    /// Decodes and scans every post, and does nothing else.
    fn bare(&self, posts: &[String]) -> Duration {
        let judge = Judge::new(&self.catalogue, self.lexicon.clone(), self.config.author_key);
        let mut judgement = Judgement::default();
        let start = Instant::now();
        for line in posts {
            let decoded = decode(line.as_bytes()).expect("a sound post");
            black_box(judge.scan(decoded.as_post().text, &mut judgement));
        }
        start.elapsed()
    }

    /// Takes every post through the whole core.
    fn whole(&self, posts: &[String]) -> Duration {
        let mut pipeline = Pipeline::new(self.config.clone(), &self.catalogue, self.lexicon.clone());
        let start = Instant::now();
        for line in posts {
            let decoded = decode(line.as_bytes()).expect("a sound post");
            black_box(pipeline.handle_post(0, &decoded.as_post()));
            while let Some(event) = pipeline.detector().poll() {
                black_box(event);
            }
        }
        pipeline.finish();
        let elapsed = start.elapsed();
        assert_eq!(pipeline.outcomes().total(), posts.len() as u64);
        elapsed
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn replay_against_bare_loop(n_posts: usize) {
    let setup = Setup::of(1000);
    let posts = posts(n_posts, 1000, 2000);
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (bare, whole) = (setup.bare(&posts).as_secs_f64(), setup.whole(&posts).as_secs_f64());
        ratios.push(bare / whole);
        rates.push(n_posts as f64 / whole);
    }
    println!("replay, {n_posts} posts, 1000 services: {:.2} million posts/s and core", median(rates) / 1e6);
    println!("  speed against decoding and scanning alone: {:.2} (aim 0.7)", median(ratios));
}

fn cost_by_catalogue_size(n_posts: usize) {
    // The posts name the ten services that all three catalogues have, so that only the size of the catalogue differs.
    let posts = posts(n_posts, 10, 2000);
    let setups = [10, 1000, 10_000].map(Setup::of);
    let mut by_size = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let times = setups.each_ref().map(|setup| setup.whole(&posts).as_secs_f64());
        by_size.iter_mut().zip(times).for_each(|(ratios, time)| ratios.push(time / times[0]));
    }
    let [_, thousand, ten_thousand] = by_size.map(median);
    println!(
        "CPU a post with 10 / 1000 / 10000 services: 1 / {thousand:.2} / {ten_thousand:.2} (aim within 1.2)"
    );
}

fn tick(n_services: usize) {
    let ids: Vec<String> = (0..n_services).map(name).collect();
    let catalogue = Catalogue::of_ids(ids.iter().map(String::as_str));
    let services: Vec<ServiceIndex> = ids.iter().filter_map(|id| catalogue.index_of(id)).collect();
    let mut detector = Detector::new(Config::default());
    let first = BinWidth::MINUTE.bin_of(EventTime::from_ms(1_700_000_000_000).expect("a time in range"));
    let mut dice = Dice(2);
    let mut times = Vec::new();
    for minute in 0..240 {
        let counts: Vec<(ServiceIndex, u32)> =
            services.iter().map(|&service| (service, dice.below(4) as u32)).collect();
        let start = Instant::now();
        detector.handle_counts(first.plus(minute), &counts, &[]);
        while let Some(event) = detector.poll_event() {
            black_box(event);
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let warm = times.split_off(60);
    let worst = warm.iter().copied().fold(0.0, f64::max);
    println!(
        "tick over {n_services} services, all with complaints: median {:.2} ms, worst of 180 {worst:.2} ms (aim 10)",
        median(warm)
    );
}

/// Peak memory in KiB of `groundswell replay` over a file, read from /proc while it runs.
fn peak_kib(folder: &Path, file: &Path, n_services: usize) -> Option<u64> {
    let catalogue = folder.join(format!("catalogue-{n_services}.toml"));
    fs::write(&catalogue, catalogue_text(n_services)).expect("the temporary folder can be written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_groundswell"))
        .args(["replay", "--no-builtin-catalog", "--catalog"])
        .args([&catalogue, file])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while child.try_wait().expect("the child can be waited for").is_none() {
        let read = fs::read_to_string(&status).unwrap_or_default();
        let line = read.lines().find(|line| line.starts_with("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).or(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}

fn memory(n_posts: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("posts.jsonl");
    let mut out = BufWriter::new(fs::File::create(&file).expect("the temporary folder can be written"));
    let mut dice = Dice(3);
    for number in 0..n_posts {
        writeln!(out, "{}", post(number, 10_000, 2000, &mut dice))
            .expect("the temporary folder can be written");
    }
    drop(out);
    let [thousand, ten_thousand] = [1000, 10_000].map(|n| peak_kib(folder.path(), &file, n));
    let (Some(thousand), Some(ten_thousand)) = (thousand, ten_thousand) else {
        return println!("memory: not measured, there is no /proc here");
    };
    let per_service = ten_thousand.saturating_sub(thousand) as f64 / 9000.0;
    println!(
        "peak memory, {n_posts} posts: {:.0} MiB with 1000 services (aim 64), {per_service:.1} KiB a further service (aim 4)",
        thousand as f64 / 1024.0
    );
}

fn main() {
    // `cargo test` runs benchmarks too, to see that they start; the figures are for `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let n_posts = if std::env::args().any(|argument| argument == "--quick") { 300_000 } else { 3_000_000 };
    let example = posts(1, 10, 2000);
    println!("an example post: {}", example[0]);
    replay_against_bare_loop(n_posts);
    cost_by_catalogue_size(n_posts / 10);
    tick(10_000);
    memory(n_posts);
}
