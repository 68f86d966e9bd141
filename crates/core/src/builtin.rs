//! The catalogue and lexicon that come with Groundswell, as the files they are written in.

macro_rules! files {
    ($folder:literal: $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../data/", $folder, "/", $name, ".toml"))),)+]
    };
}

/// A file a category, by name; and `categories`, which was learned of all.
pub(crate) const CATALOGUE_FILES: &[(&str, &str)] = files!("catalogue":
    "ai" "airlines" "categories" "cloud" "delivery-travel" "developer" "devices" "education" "energy"
    "finance" "gaming" "media" "messaging" "music-video" "platform" "public" "shopping" "social" "telecom"
    "work"
);

/// A file for each language that we speak.
macro_rules! language_files {
    ($folder:literal) => {
        files!($folder: "ar" "de" "en" "es" "fr" "hi" "id" "it" "ja" "ko" "nl" "pl" "pt" "ru" "tr")
    };
}

/// What people wrote down of each language, by tag.
pub(crate) const LEXICON_FILES: &[(&str, &str)] = language_files!("lexicon");

/// What was learned of each language, by tag; each adds to the file above.
pub(crate) const CUE_FILES: &[(&str, &str)] = language_files!("cues");
