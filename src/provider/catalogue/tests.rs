//! Where every provider's paths lead.

use super::*;
use crate::llm::operation::Operation;

fn catalogue(own: &[(&str, &str)]) -> Catalogue {
    let own = own.iter().map(|(slug, base_url)| {
        let config = Config {
            base_url: Some((*base_url).to_owned()),
            prices: BTreeMap::new(),
            dialect: None,
        };
        ((*slug).to_owned(), config)
    });
    Catalogue::build(&own.collect()).unwrap()
}

fn check_with(catalogue: &Catalogue, slug: &str, path: &str, expect: &str) {
    let provider = catalogue.provider(slug).unwrap();
    let place = provider.place(path, Some("acc"));
    let url = place.map_or_else(
        |fault| fault.to_string(),
        |place| format!("{}{}", place.origin, place.path),
    );
    assert_eq!(url, expect, "/{slug}/{path}");
}

fn check(slug: &str, path: &str, expect: &str) {
    check_with(&catalogue(&[]), slug, path, expect);
}

#[test]
fn the_catalogue_holds_the_26_providers() {
    assert_eq!(slugs().unwrap().len(), 26);
}

#[test]
fn a_leading_version_is_neither_doubled_nor_lost() {
    let chat = |slug: &str, base: &str| {
        let url = format!("{base}/chat/completions");
        check(slug, "chat/completions", &url);
        check(slug, "v1/chat/completions", &url);
    };
    chat("openai", "https://api.openai.com/v1");
    chat("openrouter", "https://openrouter.ai/api/v1");
    chat("cerebras", "https://api.cerebras.ai/v1");
    chat("mistral", "https://api.mistral.ai/v1");
    chat("grok", "https://api.x.ai/v1");
    chat("groq", "https://api.groq.com/openai/v1");
    chat("fireworks", "https://api.fireworks.ai/inference/v1");
    chat("baseten", "https://inference.baseten.co/v1");
}

#[test]
fn a_base_path_is_neither_doubled_nor_lost() {
    let to = |slug: &str, path: &str, base: &str| check(slug, path, &format!("{base}/{path}"));
    to("deepseek", "chat/completions", "https://api.deepseek.com");
    to(
        "perplexity-ai",
        "chat/completions",
        "https://api.perplexity.ai",
    );
    to("anthropic", "v1/messages", "https://api.anthropic.com");
    to("anthropic", "messages", "https://api.anthropic.com/v1");
    to("anthropic", "api/hello", "https://api.anthropic.com");
    to("cohere", "v2/chat", "https://api.cohere.com");
    to("cohere", "v1/rerank", "https://api.cohere.com");
    to("groq", "openai/v1/models", "https://api.groq.com");
    to("openrouter", "api/v1/models", "https://openrouter.ai");
    to("replicate", "predictions", "https://api.replicate.com/v1");
    to("replicate", "v1/predictions", "https://api.replicate.com");
    let router = "https://router.huggingface.co";
    to("huggingface", "v1/chat/completions", router);
    to("huggingface", "together/v1/chat/completions", router);
    to("huggingface", "hf-inference/models/a/b", router);
    to(
        "huggingface",
        "models/a/b",
        &format!("{router}/hf-inference"),
    );
    to(
        "huggingface",
        "a/b",
        &format!("{router}/hf-inference/models"),
    );
    check("openai", "", "https://api.openai.com/v1");
    check("openai", "v1", "https://api.openai.com/v1");
}

#[test]
fn google_paths_lead_to_their_region() {
    let ai = "https://generativelanguage.googleapis.com";
    check(
        "google-ai-studio",
        "v1/models/g:generateContent",
        &format!("{ai}/v1/models/g:generateContent"),
    );
    check(
        "google-ai-studio",
        "models/g:generateContent",
        &format!("{ai}/v1beta/models/g:generateContent"),
    );
    let path = "v1/projects/p/locations/us-east5/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://us-east5-aiplatform.googleapis.com/{path}"),
    );
    let path = "v1beta1/projects/p/locations/global/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://aiplatform.googleapis.com/{path}"),
    );
    let path = "v1beta1/publishers/google/models/g:generateContent";
    check(
        "google-vertex-ai",
        path,
        &format!("https://aiplatform.googleapis.com/{path}"),
    );
}

#[test]
fn azure_and_bedrock_paths_choose_their_host() {
    check(
        "azure-openai",
        "res/gpt-4o/chat/completions",
        "https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
    );
    check(
        "azure-openai",
        "res/openai/deployments/d/chat/completions",
        "https://res.openai.azure.com/openai/deployments/d/chat/completions",
    );
    check(
        "azure-openai",
        "res/openai/v1/responses",
        "https://res.openai.azure.com/openai/v1/responses",
    );
    check(
        "azure-openai",
        "ev.il/gpt-4o/chat/completions",
        "https://ev.il.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
    );
    check(
        "azure-openai",
        "ev:1/gpt-4o/chat",
        "`ev:1.openai.azure.com` cannot be part of a host name",
    );
    check(
        "azure-openai",
        "res",
        "the path does not say enough; expected /azure-openai/{resource}/openai/deployments/{model} or {resource}/openai or {resource}/{model}/…",
    );
    check(
        "aws-bedrock",
        "bedrock-runtime/us-east-1/model/a%3A0/converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/converse",
    );
    check(
        "aws-bedrock",
        "bedrock-mantle/us-east-1/anthropic/v1/messages",
        "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
    );
    check(
        "baseten",
        "model/abc/x",
        "https://model-abc.api.baseten.co/production/predict/x",
    );
}

#[test]
fn workers_ai_paths_hold_the_account() {
    let base = "https://api.cloudflare.com/client/v4/accounts/acc/ai";
    check(
        "workers-ai",
        "@cf/meta/llama",
        &format!("{base}/run/@cf/meta/llama"),
    );
    check(
        "workers-ai",
        "run/@cf/meta/llama",
        &format!("{base}/run/@cf/meta/llama"),
    );
    check(
        "workers-ai",
        "v1/chat/completions",
        &format!("{base}/v1/chat/completions"),
    );
    let catalogue = catalogue(&[]);
    let place = catalogue
        .provider("workers-ai")
        .unwrap()
        .place("run/@cf/x", None);
    assert!(place.is_err());
}

#[test]
fn an_override_replaces_the_base_and_keeps_the_path() {
    let own = catalogue(&[
        ("openai", "http://127.0.0.1:1/v1"),
        ("azure-openai", "http://127.0.0.1:1/x"),
        ("aws-bedrock", "http://127.0.0.1:1"),
        ("google-vertex-ai", "http://127.0.0.1:1"),
        ("workers-ai", "http://127.0.0.1:1"),
        ("custom-vllm", "http://10.0.0.5:8000/v1"),
    ]);
    check_with(&own, "openai", "v1/models", "http://127.0.0.1:1/v1/models");
    check_with(
        &own,
        "azure-openai",
        "r/d/embeddings",
        "http://127.0.0.1:1/x/openai/deployments/d/embeddings",
    );
    check_with(
        &own,
        "aws-bedrock",
        "bedrock-runtime/eu-west-1/model/m/invoke",
        "http://127.0.0.1:1/model/m/invoke",
    );
    check_with(
        &own,
        "google-vertex-ai",
        "v1/projects/p/locations/l/x",
        "http://127.0.0.1:1/v1/projects/p/locations/l/x",
    );
    check_with(
        &own,
        "custom-vllm",
        "v1/chat/completions",
        "http://10.0.0.5:8000/v1/chat/completions",
    );
    check_with(
        &own,
        "custom-vllm",
        "chat/completions",
        "http://10.0.0.5:8000/v1/chat/completions",
    );
}

#[test]
fn a_place_says_what_is_spoken_there() {
    let all = catalogue(&[("custom-x", "http://h/")]);
    let spoken = |slug: &str, path: &str| {
        let place = all.provider(slug).unwrap().place(path, Some("a")).unwrap();
        (place.dialect, place.operation, place.model, place.streams)
    };
    let model = |name: &str| Some(name.to_owned());
    assert_eq!(
        spoken("openai", "v1/chat/completions"),
        (Some(Dialect::Openai), Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("openai", "files/f-1/content"),
        (Some(Dialect::Openai), Operation::Files, None, false)
    );
    assert_eq!(
        spoken("openai", "v1/unheard/of"),
        (Some(Dialect::Openai), Operation::Other, None, false)
    );
    assert_eq!(
        spoken(
            "google-vertex-ai",
            "v1/projects/p/locations/l/publishers/anthropic/models/c@1:streamRawPredict"
        ),
        (
            Some(Dialect::Anthropic),
            Operation::Chat,
            model("c@1"),
            true
        )
    );
    assert_eq!(
        spoken(
            "aws-bedrock",
            "bedrock-runtime/r/model/us.a.c-v1%3A0/converse-stream"
        ),
        (
            Some(Dialect::Bedrock),
            Operation::Chat,
            model("us.a.c-v1:0"),
            true
        )
    );
    assert_eq!(
        spoken("azure-openai", "r/dep/chat/completions"),
        (Some(Dialect::Openai), Operation::Chat, model("dep"), false)
    );
    assert_eq!(
        spoken("workers-ai", "@cf/meta/llama"),
        (
            Some(Dialect::WorkersAi),
            Operation::Inference,
            model("@cf/meta/llama"),
            false
        )
    );
    assert_eq!(
        spoken("custom-x", "api/chat"),
        (None, Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("custom-x", "v1/messages"),
        (None, Operation::Chat, None, false)
    );
    assert_eq!(
        spoken("custom-x", "else"),
        (None, Operation::Other, None, false)
    );
}
