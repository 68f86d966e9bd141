//! The frame of a report: one HTML file that needs nothing else, light or dark as its reader's machine is set.

use super::chart::{ROLES, Role};

const STYLE: &str = include_str!("page.css");

/// Text as it may stand in HTML, also within quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The whole file around `body`, which is HTML.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    let colours = colours();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{colours}{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// The colours of the roles as variables, and how they come into the drawings: these name colours, not roles.
fn colours() -> String {
    let hex =
        |colour: plotters::style::RGBColor| format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2);
    let (mut light, mut dark, mut rules) = (String::new(), String::new(), String::new());
    for Role { name, light: on_light, dark: on_dark } in ROLES {
        light.push_str(&format!("--{name}:{};", hex(*on_light)));
        dark.push_str(&format!("--{name}:{};", hex(*on_dark)));
        let drawn = hex(*on_light);
        rules.push_str(&format!(
            "svg [stroke=\"{drawn}\"]{{stroke:var(--{name})}}svg [fill=\"{drawn}\"]{{fill:var(--{name})}}\n"
        ));
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}")
}

/// A table: its head, if it has one, and rows of cells that are HTML.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let class = if head.is_empty() { "few" } else { "many" };
    let mut out = format!("<div class=\"wide\"><table class=\"{class}\">\n");
    if !head.is_empty() {
        let cells: String = head.iter().map(|cell| format!("<th>{cell}</th>")).collect();
        out.push_str(&format!("<thead><tr>{cells}</tr></thead>\n"));
    }
    out.push_str("<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| out.push_str(&format!("<td>{cell}</td>")));
        out.push_str("</tr>\n");
    }
    out + "</tbody>\n</table></div>\n"
}

/// A drawing; one over time fits a phone, another may be wider.
pub(crate) fn figure(svg: &str, is_over_time: bool) -> String {
    let class = if is_over_time { "time" } else { "wide" };
    format!("<figure class=\"{class}\">{svg}</figure>\n")
}

/// What the colours of a drawing stand for.
pub(crate) fn legend(entries: &[(Role, &str)]) -> String {
    let mut out = String::from("<p class=\"legend\">");
    for (Role { name, .. }, text) in entries {
        out.push_str(&format!("<span><i style=\"background:var(--{name})\"></i>{text}</span> "));
    }
    out + "</p>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_data_cannot_become_markup() {
        assert_eq!(escape("<b>&\"'x"), "&lt;b&gt;&amp;&quot;&#39;x");
        assert_eq!(escape("Größe ×2"), "Größe ×2");
        let page = page("<script>", "");
        assert!(!page.contains("<script>") && page.contains("<title>&lt;script&gt;</title>"), "{page}");
    }

    #[test]
    fn every_role_has_a_colour_in_light_and_dark() {
        let colours = colours();
        for role in ROLES {
            assert_eq!(colours.matches(&format!("--{}:", role.name)).count(), 2, "{}", role.name);
        }
    }
}
