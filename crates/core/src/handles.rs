//! Accounts that speak for a brand: most have its name with a country or the word for help behind it, or "ask" before it
//! (`@VodafoneNL`, `@spotifycares`, `@AskPlayStation`). No catalogue has them all.

/// What brands write behind their name: countries and languages, and what the account is for.
const ENDINGS: &str = "ae africa ar arabia argentina assistance assistenza at atencion au ayuda bd be belgie belgique \
    belgium bh bo br brasil brazil by ca canada care cares ch chile cl clientes clients co colombia cr \
    cs customercare customerservice cz de dech destek deutschland dk do dz ec ecuador eg egypt en es \
    espana fi fr france gb gh gr gt help helps hilft hk hr hu id ie il in india indo indonesia iq ir it \
    italia italy japan jo jp ke kenya klantenservice korea kr ksa kundenservice kw kz latam lb lk ma \
    maroc mena mex mexico mx my nederland ng nigeria nl no nz official oficial om osterreich pa pe peru \
    ph pk pl polska pomoc portugal pt py qa responde ro ru russia sa sav schweiz se service \
    serviceclient sg sk suisse support sv sverige teayuda th tn tr turkey turkiye tw ua uk us usa \
    uy ve vn webcare yardim za";
/// What they write before it.
const BEGINNINGS: [&str; 2] = ["ask", "help"];
/// Endings that a handle may have: country and purpose.
const ENDINGS_MAX: usize = 2;
/// The fewest letters of a name with which an ending of two letters, or a longer one, is written in one word: the short
/// ones are those of words, too ("cities", "envelope").
const NAME_LETTERS_MIN: [usize; 2] = [7, 4];

/// The service that `handle` speaks for by its name, if `look_up` knows what is left of it without endings and
/// beginnings. `handle` is in lower case.
pub(crate) fn service_by_name<T>(handle: &str, look_up: impl Fn(&str) -> Option<T>) -> Option<T> {
    let known = |name: &str| look_up(&name.replace('_', ""));
    let name_behind = |beginning: &&str| name(handle.strip_prefix(*beginning)?, beginning);
    let names = || [handle].into_iter().chain(BEGINNINGS.iter().filter_map(name_behind));
    names().find_map(known).or_else(|| names().find_map(|name| without_endings(name, ENDINGS_MAX, &known)))
}

fn without_endings<T>(handle: &str, n_max: usize, known: &impl Fn(&str) -> Option<T>) -> Option<T> {
    if n_max == 0 {
        return None;
    }
    let names = || ENDINGS.split(' ').filter_map(|ending| name(handle.strip_suffix(ending)?, ending));
    names().find_map(known).or_else(|| names().find_map(|name| without_endings(name, n_max - 1, known)))
}

/// The name that `rest` is, the handle without `affix`; none if it is too short to be told from a word.
fn name<'a>(rest: &'a str, affix: &str) -> Option<&'a str> {
    let name = rest.trim_matches('_');
    let n_min = if name.len() < rest.len() { 1 } else { NAME_LETTERS_MIN[usize::from(affix.len() > 2)] };
    (name.chars().count() >= n_min).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(handle: &str, expected: Option<&str>) {
        let names = ["vodafone", "o2", "playstation", "citi", "bancosol", "ing"];
        let found = service_by_name(handle, |name| names.into_iter().find(|&known| known == name));
        assert_eq!(found, expected, "{handle}");
    }

    #[test]
    fn countries_and_help_around_a_name_are_left_out() {
        check("vodafone", Some("vodafone"));
        check("vodafone_de", Some("vodafone"));
        check("vodafonenl", Some("vodafone"));
        check("vodafoneukhelp", Some("vodafone"));
        check("askplaystation", Some("playstation"));
        check("askplaystationuk", Some("playstation"));
        check("ing_de", Some("ing"));
        check("banco_sol", Some("bancosol"));
        check("o2_de", Some("o2"));
    }

    #[test]
    fn other_accounts_are_nobody_known() {
        check("vodafone_fan", None);
        check("myvodafone", None);
        check("cities", None);
        check("vodafonesport", None);
        check("de", None);
        check("_de", None);
        check("ask", None);
    }
}
