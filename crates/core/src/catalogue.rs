//! The catalogue: which services there are and by which names people speak of them.
//!
//! A catalogue is TOML, a `[[service]]` table each, and `[[category]]` tables for what services of a kind have in common.
//! Files are merged in the order in which they are given: an entry with a new id is added, one with a known id replaces
//! the earlier one whole (but for its category, if it names none). After merging, services are ordered by id, so that
//! neither file order nor file names can change a result.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::builtin::CATALOGUE_FILES;
use crate::lexicon::{CUE_WEIGHT_MAX, Symptom, is_weight};
use crate::problem::{Problem, SourceText};

/// The longest service id: it is a Kafka key, a file name and a metric label elsewhere.
const ID_BYTES_MAX: usize = 64;

/// A service as the catalogue describes it. All names are compared after folding (case, diacritics, apostrophes).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Stable identifier: lower-case letters, digits, `-`, `_`; at most 64 bytes.
    pub id: String,
    /// Name for display.
    pub name: String,
    /// A word for the kind of service: events carry it, a [`Category`] of that name tells what fails in such, and cues
    /// may mean more in it ([`crate::CueGroup`]). An entry that replaces one and names none keeps its category.
    #[serde(default)]
    pub category: String,
    /// What people type when they mean it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its `@handles`, without the sign.
    #[serde(default)]
    pub handles: Vec<String>,
    /// Author names that speak for the service; their posts are never complaints.
    #[serde(default)]
    pub official: Vec<String>,
    /// `#hashtags` beyond the aliases, without the sign.
    #[serde(default)]
    pub hashtags: Vec<String>,
    /// Its domains; a subdomain counts as the domain.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Context that an ambiguous name needs: an alias counts only if one of these stands in the same text.
    #[serde(default)]
    pub require_any: Vec<String>,
    /// Names that need no context, and are context for the aliases: "slack app" beside "slack".
    #[serde(default)]
    pub unambiguous: Vec<String>,
    /// The languages (BCP 47 primary subtags) in which the aliases are common words, if context is not needed in all of
    /// them: "orange" is a fruit in English, and only the network in Polish. Empty: in every language.
    #[serde(default)]
    pub ambiguous_in: Vec<String>,
    /// Phrases in which an alias does not mean the service.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Ids of services that it is known to run on.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Home regions, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub regions: Vec<String>,
}

/// What services of one category have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The word that services name it by.
    pub name: String,
    /// What fails in them more often than in other services, or less often: votes beside those of a post's words (see
    /// [`crate::TellGroup`]). A bank's customers speak of payments where a network's speak of signal.
    pub symptoms: BTreeMap<Symptom, f64>,
}

/// The category of services that name none.
pub const CATEGORY_UNKNOWN: &str = "other";

/// The number of a service in its catalogue; services are numbered by id order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceIndex(pub(crate) u32);

impl ServiceIndex {
    pub(crate) fn of(position: usize) -> Self {
        Self(u32::try_from(position).expect("a catalogue has far fewer than 2^32 services"))
    }

    pub(crate) fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// A set of services, ordered by id, and of categories, ordered by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalogue {
    services: Vec<Service>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(default)]
    service: Vec<toml::Spanned<Service>>,
    #[serde(default)]
    category: Vec<toml::Spanned<Category>>,
}

/// The entries of all files, and where each stands.
#[derive(Default)]
struct Merged {
    services: BTreeMap<String, (Service, Place)>,
    categories: BTreeMap<String, (Category, Place)>,
}

impl Catalogue {
    /// Reads and merges catalogue files, ours first if `with_builtin`. All problems are reported, not just the first.
    ///
    /// # Errors
    /// Everything that makes an entry unusable: TOML errors, unknown keys, a bad or repeated id, empty names, a
    /// handle that two services claim, an entry that no text can match, a dependency that does not exist, a category
    /// that no service has or whose votes are out of range.
    pub fn load(with_builtin: bool, files: &[SourceText]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut merged = Merged::default();
        let builtin = CATALOGUE_FILES.iter().map(|&(name, text)| SourceText::builtin(name, text));
        for source in builtin.filter(|_| with_builtin).chain(files.iter().cloned()) {
            read_file(&source, &mut merged, &mut problems);
        }
        check_between(&merged.services, &mut problems);
        check_categories(&merged, &mut problems);
        if problems.is_empty() {
            Ok(Self {
                services: merged.services.into_values().map(|(service, _)| service).collect(),
                categories: merged.categories.into_values().map(|(category, _)| category).collect(),
            })
        } else {
            Err(problems)
        }
    }

    /// A catalogue of bare names, for counts whose services are known by nothing else.
    pub fn of_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids: Vec<&str> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        Self { services: ids.into_iter().map(Service::bare).collect(), categories: Vec::new() }
    }

    /// Appends a bare entry for counts whose services appear one by one, and gives its index. Such a catalogue is in the
    /// order of appearance, not of ids: [`Catalogue::index_of`] is not for it.
    pub fn push_bare(&mut self, id: &str) -> ServiceIndex {
        self.services.push(Service::bare(id));
        ServiceIndex::of(self.services.len() - 1)
    }

    /// The services in the order of their indices.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The categories of which something is known, in the order of their names.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The service with this number.
    ///
    /// # Panics
    /// If `index` is of another catalogue and too large for this one.
    pub fn service(&self, index: ServiceIndex) -> &Service {
        &self.services[index.as_usize()]
    }

    /// The number of the service with this id.
    pub fn index_of(&self, id: &str) -> Option<ServiceIndex> {
        self.services.binary_search_by(|service| service.id.as_str().cmp(id)).ok().map(ServiceIndex::of)
    }
}

impl Service {
    /// An entry of which only the id is known.
    pub fn bare(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: id.to_owned(),
            category: CATEGORY_UNKNOWN.to_owned(),
            aliases: Vec::new(),
            handles: Vec::new(),
            official: Vec::new(),
            hashtags: Vec::new(),
            domains: Vec::new(),
            require_any: Vec::new(),
            unambiguous: Vec::new(),
            ambiguous_in: Vec::new(),
            exclude: Vec::new(),
            depends_on: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// The same without spare room: a catalogue is kept for good, and there may be ten thousand of these.
    fn fitted(mut self) -> Self {
        for names in [
            &mut self.aliases,
            &mut self.handles,
            &mut self.official,
            &mut self.hashtags,
            &mut self.domains,
            &mut self.require_any,
            &mut self.unambiguous,
            &mut self.ambiguous_in,
            &mut self.exclude,
            &mut self.depends_on,
            &mut self.regions,
        ] {
            names.shrink_to_fit();
        }
        self
    }

    /// Everything that people type when they mean it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.aliases.iter().chain(&self.unambiguous)
    }

    /// What must stand beside an alias, one of these; empty if the aliases are clear by themselves.
    pub(crate) fn context(&self) -> impl Iterator<Item = &String> {
        self.require_any.iter().chain(&self.unambiguous)
    }

    /// The names that count whatever stands beside them.
    pub(crate) fn clear_names(&self) -> &[String] {
        if self.context().next().is_some() { &self.unambiguous } else { &self.aliases }
    }

    fn name_lists(&self) -> [(&'static str, &[String]); 8] {
        [
            ("aliases", &self.aliases),
            ("unambiguous", &self.unambiguous),
            ("handles", &self.handles),
            ("official", &self.official),
            ("hashtags", &self.hashtags),
            ("domains", &self.domains),
            ("require_any", &self.require_any),
            ("exclude", &self.exclude),
        ]
    }
}

/// Where an entry stands, for messages.
#[derive(Debug, Clone)]
struct Place {
    file: Rc<str>,
    line: usize,
}

impl Place {
    fn problem(&self, reason: String) -> Problem {
        Problem { file: self.file.to_string(), line: Some(self.line), reason }
    }
}

fn read_file(source: &SourceText, merged: &mut Merged, problems: &mut Vec<Problem>) {
    let tables = match read_by_tables(source) {
        Some(tables) => tables,
        // Read in one piece it may yet be sound, and if not, the message is about the whole file.
        None => match toml::from_str(&source.text) {
            Ok(file) => Tables::of(file, |offset| source.line_of(offset)),
            Err(error) => return problems.push(source.toml_problem(&error)),
        },
    };
    let file: Rc<str> = source.name.as_str().into();
    for (line, mut service) in tables.services {
        if service.category.is_empty() {
            let replaced = merged.services.get(&service.id).map(|(replaced, _)| replaced.category.clone());
            service.category = replaced.unwrap_or_else(|| CATEGORY_UNKNOWN.to_owned());
        }
        let place = Place { file: Rc::clone(&file), line };
        check_alone(&service, &place, problems);
        let id = service.id.clone();
        insert(&mut merged.services, "service", id, (service, place), problems);
    }
    for (line, category) in tables.categories {
        let place = Place { file: Rc::clone(&file), line };
        let name = category.name.clone();
        for (symptom, votes) in category.symptoms.iter().filter(|(_, votes)| !is_weight(**votes)) {
            problems.push(place.problem(format!(
                "category `{name}`: `{}` has {votes} votes; it must be within {CUE_WEIGHT_MAX} of 0",
                symptom.name()
            )));
        }
        insert(&mut merged.categories, "category", name, (category, place), problems);
    }
}

/// Takes in an entry of some kind; one of another file gives way to it, one of the same file is a mistake.
fn insert<T>(
    entries: &mut BTreeMap<String, (T, Place)>,
    kind: &str,
    name: String,
    entry: (T, Place),
    problems: &mut Vec<Problem>,
) {
    let place = entry.1.clone();
    if let Some((_, first)) = entries.insert(name.clone(), entry)
        && Rc::ptr_eq(&first.file, &place.file)
    {
        problems.push(place.problem(format!("{kind} `{name}` stands already in line {}", first.line)));
    }
}

/// The tables of one file, with the line of each.
#[derive(Default)]
struct Tables {
    services: Vec<(usize, Service)>,
    categories: Vec<(usize, Category)>,
}

impl Tables {
    fn of(file: CatalogueFile, line_of: impl Fn(usize) -> usize) -> Self {
        let services = file.service.into_iter();
        let categories = file.category.into_iter();
        Self {
            services: services
                .map(|entry| (line_of(entry.span().start), entry.into_inner().fitted()))
                .collect(),
            categories: categories.map(|entry| (line_of(entry.span().start), entry.into_inner())).collect(),
        }
    }
}

/// Reads a file service by service; `None` if some part cannot be read by itself. The document tree of a large
/// catalogue, in one piece, takes more memory than everything that is made of it.
fn read_by_tables(source: &SourceText) -> Option<Tables> {
    let mut tables = Tables::default();
    let mut read = |part: &str, first_line: usize| -> Option<()> {
        let line_of = |offset: usize| first_line + part[..offset].matches('\n').count();
        let part = Tables::of(toml::from_str(part).ok()?, line_of);
        tables.services.extend(part.services);
        tables.categories.extend(part.categories);
        Some(())
    };
    let (mut part_start, mut part_line, mut offset) = (0, 1, 0);
    for (number, line) in source.text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with("[[service]]") {
            read(&source.text[part_start..offset], part_line)?;
            (part_start, part_line) = (offset, number + 1);
        }
        offset += line.len();
    }
    read(&source.text[part_start..], part_line)?;
    Some(tables)
}

/// What can be wrong with one entry by itself.
fn check_alone(service: &Service, place: &Place, problems: &mut Vec<Problem>) {
    let id = &service.id;
    let mut report = |reason: String| problems.push(place.problem(reason));
    let id_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.chars().all(id_char) {
        report(format!(
            "`id` is {id:?}; it must be 1 to {ID_BYTES_MAX} lower-case letters, digits, `-` or `_`"
        ));
    }
    if service.name.trim().is_empty() {
        report(format!("service `{id}`: `name` is empty"));
    }
    for (key, names) in service.name_lists() {
        for name in names {
            if !name.chars().any(char::is_alphanumeric) {
                report(format!("service `{id}`: `{key}` has {name:?}, which no text can match"));
            }
        }
    }
    // "e&" is compared as "e", which stands in every second post.
    let is_letter = |name: &String| {
        // What stands behind an `@` or a link's host does not count.
        let may_be = name.contains(['@', ':']) || name.chars().filter(|c| c.is_alphanumeric()).count() == 1;
        let folded = if may_be { crate::phrases::folded_key(name) } else { String::new() };
        folded.len() == 1 && folded.is_ascii()
    };
    if let Some(name) = service.clear_names().iter().find(|name| is_letter(name)) {
        report(format!(
            "service `{id}`: the name {name:?} is compared as a single letter; it needs `require_any`"
        ));
    }
    if !service.ambiguous_in.is_empty() && service.context().next().is_none() {
        report(format!(
            "service `{id}`: `ambiguous_in` says where `require_any` is needed, and there is none"
        ));
    }
    for tag in &service.ambiguous_in {
        if !crate::lexicon::is_primary_subtag(tag) {
            report(format!(
                "service `{id}`: `ambiguous_in` has {tag:?}; it must be 2 or 3 lower-case letters (BCP 47)"
            ));
        }
    }
    for domain in &service.domains {
        if !domain.contains('.') || domain.contains(['/', ':', ' ']) {
            report(format!(
                "service `{id}`: `domains` has {domain:?}; it must be a host such as `example.com`"
            ));
        }
    }
}

/// A category that no service has is a name misspelt.
fn check_categories(merged: &Merged, problems: &mut Vec<Problem>) {
    for (name, (_, place)) in &merged.categories {
        if merged.services.values().all(|(service, _)| service.category != *name) {
            problems.push(place.problem(format!("no service has the category `{name}`")));
        }
    }
}

/// What can be wrong between entries.
fn check_between(merged: &BTreeMap<String, (Service, Place)>, problems: &mut Vec<Problem>) {
    let mut claimed: BTreeMap<String, &str> = BTreeMap::new();
    for (service, place) in merged.values() {
        for handle in &service.handles {
            let folded = handle.trim_start_matches('@').to_lowercase();
            if let Some(other) = claimed.insert(folded, &service.id) {
                let reason = if other == service.id {
                    format!("service `{}` lists the handle {handle:?} twice", service.id)
                } else {
                    format!("services `{other}` and `{}` both claim the handle {handle:?}", service.id)
                };
                problems.push(place.problem(reason));
            }
        }
        for dependency in &service.depends_on {
            if !merged.contains_key(dependency) {
                let id = &service.id;
                let reason =
                    format!("service `{id}` depends on `{dependency}`, which is not in the catalogue");
                problems.push(place.problem(reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Catalogue, Vec<Problem>> {
        Catalogue::load(false, &[SourceText::new("test.toml", text)])
    }

    #[track_caller]
    fn check_refused(text: &str, line: usize, reason: &str) {
        let problems = load(text).expect_err("the catalogue must be refused");
        let found = problems.iter().any(|p| p.line == Some(line) && p.reason.contains(reason));
        assert!(found, "expected {reason:?} in line {line}, got {problems:?}");
    }

    #[test]
    fn the_builtin_catalogue_has_sixty_services_and_no_problem() {
        let catalogue = Catalogue::load(true, &[]).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert!(catalogue.services().len() >= 60, "{} services", catalogue.services().len());
        assert!(catalogue.index_of("spotify").is_some());
    }

    #[test]
    fn a_later_entry_replaces_an_earlier_one_whole() {
        let first = SourceText::new("a", "[[service]]\nid='x1'\nname='Old'\naliases=['x1','old']");
        let second = SourceText::new("b", "[[service]]\nid='x1'\nname='New'\naliases=['x1']");
        let catalogue = Catalogue::load(false, &[first, second]).expect("two good files");
        assert_eq!(catalogue.services().len(), 1);
        assert_eq!(catalogue.services()[0].name, "New");
        assert_eq!(catalogue.services()[0].aliases, ["x1"], "nothing of the old entry is left");
    }

    #[test]
    fn an_entry_that_replaces_one_keeps_its_category_unless_it_names_another() {
        let category = |more: &str| {
            let first = "[[service]]\nid='a'\nname='A'\ncategory='bank'\n";
            let second = format!("[[service]]\nid='a'\nname='B'\n{more}");
            let files = [SourceText::new("first", first), SourceText::new("second", second)];
            let catalogue = Catalogue::load(false, &files).expect("a good catalogue");
            assert_eq!(catalogue.services()[0].name, "B", "all else is replaced");
            catalogue.services()[0].category.clone()
        };
        assert_eq!([category(""), category("category='shop'")], ["bank", "shop"]);
    }

    #[test]
    fn a_category_stands_beside_its_services_and_a_later_one_replaces_it() {
        let first = "[[category]]\nname='bank'\nsymptoms={payment=0.5}\n[[service]]\nid='a'\nname='A'\n";
        let second = "[[service]]\nid='b'\nname='B'\ncategory='bank'\n[[category]]\nname='bank'\n\
                      [category.symptoms]\nlogin=0.4\nslow=-1\n";
        let catalogue = Catalogue::load(false, &[first, second].map(|text| SourceText::new("f", text)));
        let catalogue = catalogue.unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(catalogue.services().len(), 2);
        let symptoms = BTreeMap::from([(Symptom::Login, 0.4), (Symptom::Slow, -1.0)]);
        assert_eq!(catalogue.categories(), [Category { name: "bank".to_owned(), symptoms }]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        check_refused("[[service]]\nid='Bad Id'\nname='B'\naliases=['b']", 1, "`id` is");
        check_refused("[[service]]\nid='a'\nname='A'\nalias=['a']", 4, "unknown field `alias`");
        check_refused("[[service]]\nid='a'\nname='A'\naliases=['!!']", 1, "no text can match");
        check_refused("[[service]]\nid='a'\nname='A'\n[[service]]\nid='a'\nname='A'", 4, "already in line 1");
        check_refused("[[service]]\nid='a'\nname='A'\ndepends_on=['zz']", 1, "`zz`");
        check_refused("[[service]]\nid='a'\nname='A'\naliases=['e&']", 1, "single letter");
        let clear = "[[service]]\nid='a'\nname='A'\nrequire_any=['b']\nunambiguous=['e&']";
        check_refused(clear, 1, "single letter");
        check_refused("[[service]]\nid='a'\nname='A'\naliases=['a']\nambiguous_in=['en']", 1, "require_any");
        check_refused(
            "[[service]]\nid='a'\nname='A'\nhandles=['H']\n[[service]]\nid='b'\nname='B'\nhandles=['h']",
            5,
            "both claim",
        );
        check_refused("[[service]\n", 1, "");
        check_refused("\n[[category]]\nname='c'\nsymptoms={login=50}", 2, "within 5 of 0");
        check_refused("[[category]]\nname='finence'\nsymptoms={login=1}", 1, "no service has the category");
        let twice = "[[category]]\nname='c'\nsymptoms={}\n[[category]]\nname='c'\nsymptoms={}";
        check_refused(twice, 4, "already in line 1");
        check_refused("[[service]]\nid='a'\nname='A'\n[[category]]\nname='c'\nsymptoms={log=1}", 6, "`log`");
    }
}
