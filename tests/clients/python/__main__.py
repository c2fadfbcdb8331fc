"""All the Python SDKs, one after the other."""

import sys

import suite
import anthropic_client
import bedrock_client
import cohere_client
import google_client
import groq_client
import mistral_client
import openai_client

sys.exit(suite.run() > 0)
