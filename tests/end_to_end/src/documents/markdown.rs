//! What of a Markdown file a test looks at: blocks of code, comments, headings and links.

use std::collections::HashMap;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::Document;

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// The code, the comment without its marks, the heading, or where the link leads.
    pub text: String,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A block that is fenced with these words.
    Code(String),
    /// An HTML comment that stands by itself: nobody sees it.
    Comment,
    /// A heading.
    Heading,
    /// A place that HTML names: `<a id="…">`.
    Place,
    /// A link or a picture.
    Link,
}

impl Document {
    /// The pieces, in their order.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        // What is open, with its text so far.
        let mut open: Option<Piece> = None;
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        for (event, range) in Parser::new_ext(&self.text, options).into_offset_iter() {
            let piece = |kind, text: &str| Piece { line: self.line_at(range.start), kind, text: text.to_owned() };
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(words))) => {
                    open = Some(piece(Kind::Code(words.trim().to_owned()), ""));
                }
                Event::Start(Tag::HtmlBlock) => open = Some(piece(Kind::Comment, "")),
                Event::Start(Tag::Heading { .. }) => open = Some(piece(Kind::Heading, "")),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    pieces.push(piece(Kind::Link, &dest_url));
                }
                Event::End(TagEnd::CodeBlock | TagEnd::HtmlBlock | TagEnd::Heading(_)) => pieces.extend(open.take()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(open) = &mut open {
                        open.text.push_str(&text);
                    }
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    pieces.extend(place(&html).map(|name| piece(Kind::Place, name)));
                    if let Some(open) = &mut open {
                        open.text.push_str(&html);
                    }
                }
                _ => {}
            }
        }
        pieces.retain_mut(|piece| piece.kind != Kind::Comment || unmark(&mut piece.text));
        pieces
    }

    /// The text of the first block that is fenced with these words.
    pub fn block(&self, words: &str) -> String {
        let pieces = self.pieces();
        let found = pieces.iter().find(|piece| matches!(&piece.kind, Kind::Code(of) if of == words));
        found.unwrap_or_else(|| panic!("{} has no block of {words}", self.path)).text.clone()
    }

    /// The anchors that a link into this document may name, as GitHub makes them of headings.
    pub fn anchors(&self) -> Vec<String> {
        let mut taken: HashMap<String, usize> = HashMap::new();
        let mut anchors = Vec::new();
        for piece in self.pieces() {
            match piece.kind {
                Kind::Heading => {
                    let slug = slug(&piece.text);
                    let times = taken.entry(slug.clone()).or_default();
                    anchors.push(if *times == 0 { slug } else { format!("{slug}-{times}") });
                    *times += 1;
                }
                Kind::Place => anchors.push(piece.text),
                _ => {}
            }
        }
        anchors
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }
}

/// Takes the marks of a comment away; false where it is no comment.
fn unmark(html: &mut String) -> bool {
    let inner =
        html.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")).map(|inner| inner.trim().to_owned());
    match inner {
        Some(inner) => {
            *html = inner;
            true
        }
        None => false,
    }
}

/// The name in `<a id="name">`.
fn place(html: &str) -> Option<&str> {
    html.trim_start().strip_prefix("<a id=\"")?.split('"').next()
}

fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document { path: "a page".into(), text: text.into() }
    }

    #[test]
    fn code_and_comments_are_found_with_their_lines() {
        let page = document(
            "# A\n\n<!-- sign in: bob@globex.com -->\n\n- a list\n\n  ```sql admin\n  select 1;\n  ```\n\n<p>no comment</p>\n",
        );
        let pieces: Vec<_> = page.pieces().into_iter().filter(|piece| piece.kind != Kind::Heading).collect();
        let expected = [
            Piece { line: 3, kind: Kind::Comment, text: "sign in: bob@globex.com".into() },
            Piece { line: 7, kind: Kind::Code("sql admin".into()), text: "select 1;\n".into() },
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_block_that_shows_a_fence_is_one_block() {
        let page = document("````md\n```sql\nselect 1;\n```\n````\n");
        assert_eq!(page.pieces().len(), 1, "{:?}", page.pieces());
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = document(
            "# Is it safe? `auth.check()`\n\n## One's own\n\n## One's own\n\n<a id=\"old\"></a>\n\nA [link](b.md#c).\n",
        );
        assert_eq!(page.anchors(), ["is-it-safe-authcheck", "ones-own", "ones-own-1", "old"]);
        assert!(page.pieces().iter().any(|piece| piece.kind == Kind::Link && piece.text == "b.md#c"));
    }
}
