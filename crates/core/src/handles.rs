//! Accounts that speak for a brand: most have its name with a country or the word for help behind it, or "ask" before it
//! (`@VodafoneNL`, `@spotifycares`, `@AskPlayStation`). No catalogue has them all.

/// What brands write behind their name: countries and languages, and what the account is for.
const ENDINGS: &str = "ae africa app ar arabia argentina assistance assistenza at atencion au ayuda bd be belgie belgique \
    belgium bh bo br brasil brazil by ca canada care cares ch chile cl clientes clients co colombia cr \
    cs customercare customerservice cz de dech destek deutschland dk do dz ec ecuador eg egypt en es \
    espana fi fr france gb gh gr gt help helps hilft hk hr hu id ie il in india indo indonesia iq ir it \
    italia italy japan jo jp ke kenya klantenservice korea kr ksa kundenservice kw kz latam lb lk ma \
    maroc mena mex mexico mx my nederland ng nigeria nl no nz official oficial om osterreich pa pe peru \
    ph pk pl polska pomoc portugal pt py qa responde ro ru russia sa sav schweiz se service \
    serviceclient sg sk sport suisse support sv sverige teayuda th tn tr turkey turkiye tw ua uk us usa \
    uy ve vn webcare yardim za";
/// What they write before it.
const BEGINNINGS: [&str; 2] = ["ask", "help"];
/// Endings that a handle may have: country and purpose.
const ENDINGS_MAX: usize = 2;
/// The fewest letters of a name to which an ending is written without a `_`: "tide" is no account of "ti".
const NAME_LETTERS_MIN: usize = 4;

/// The service that `handle` speaks for by its name, if `look_up` knows what is left of it without endings and
/// beginnings. `handle` is in lower case.
pub(crate) fn service_by_name<T>(handle: &str, look_up: impl Fn(&str) -> Option<T>) -> Option<T> {
    let look_up = |name: &str| look_up(&name.replace('_', ""));
    look_up(handle)
        .or_else(|| BEGINNINGS.iter().find_map(|beginning| look_up(name_after(handle, beginning)?)))
        .or_else(|| without_endings(handle, ENDINGS_MAX, &look_up))
}

fn without_endings<T>(handle: &str, n_max: usize, look_up: &impl Fn(&str) -> Option<T>) -> Option<T> {
    if n_max == 0 {
        return None;
    }
    let names = || ENDINGS.split(' ').filter_map(|ending| name_before(handle, ending));
    names().find_map(look_up).or_else(|| names().find_map(|name| without_endings(name, n_max - 1, look_up)))
}

fn name_before<'a>(handle: &'a str, ending: &str) -> Option<&'a str> {
    name(handle.strip_suffix(ending)?)
}

fn name_after<'a>(handle: &'a str, beginning: &str) -> Option<&'a str> {
    name(handle.strip_prefix(beginning)?)
}

fn name(rest: &str) -> Option<&str> {
    let name = rest.trim_matches('_');
    (name.len() < rest.len() || name.len() >= NAME_LETTERS_MIN)
        .then_some(name)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(handle: &str, expected: Option<&str>) {
        let names = ["vodafone", "o2", "playstation", "ti", "bancosol"];
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
        check("banco_sol", Some("bancosol"));
        check("o2_de", Some("o2"));
    }

    #[test]
    fn other_accounts_are_nobody_known() {
        check("vodafone_fan", None);
        check("myvodafone", None);
        check("tide", None);
        check("de", None);
        check("_de", None);
        check("ask", None);
    }
}
