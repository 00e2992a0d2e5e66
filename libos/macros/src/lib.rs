//! The attribute on a native program's main function.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Makes an async function the program's entry: `#[kernlet::main] async fn main() { … }`.
///
/// The function takes no arguments (see `kernlet::env`) and returns anything that implements `kernlet::Termination`:
/// nothing, an exit status, or a `Result` of them. When the crate is compiled as an ordinary host program, as editors and
/// `cargo check` do, the entry only says how to run it.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        return error("#[kernlet::main] takes no arguments");
    }
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let words: Vec<String> = tokens.iter().map(ToString::to_string).collect();
    let Some(function) = words.iter().position(|w| w == "fn") else {
        return error("#[kernlet::main] goes on a function: `async fn main() { … }`");
    };
    if function == 0 || words[function - 1] != "async" {
        return error("#[kernlet::main] goes on an async function: write `async fn main() { … }`");
    }
    let takes_nothing = matches!(tokens.get(function + 2),
        Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis && g.stream().is_empty());
    if !takes_nothing {
        return error("the main function takes no parameters: ask kernlet::env::args()");
    }
    let name = &words[function + 1];
    let inner = "__kernlet_program";
    let renamed: TokenStream = tokens
        .into_iter()
        .enumerate()
        .map(|(i, token)| match token {
            TokenTree::Ident(old) if i == function + 1 => {
                TokenTree::Ident(proc_macro::Ident::new(inner, old.span()))
            }
            other => other,
        })
        .collect();
    let entry = format!(
        "#[cfg(kernlet_image)] #[unsafe(no_mangle)] fn kernlet_main() -> ! {{ ::kernlet::__run({inner}) }}
         #[cfg(not(kernlet_image))] fn {name}() {{ let _ = {inner}; ::kernlet::__not_an_image() }}"
    );
    let entry: TokenStream = entry.parse().expect("this is Rust");
    renamed.into_iter().chain(entry).collect()
}

fn error(message: &str) -> TokenStream {
    format!("::core::compile_error!({message:?});").parse().expect("this is Rust")
}
