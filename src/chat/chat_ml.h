// The ChatML prompt: what most instruction models with <|im_start|> were trained on.
//
// What it does: puts the markup in as control tokens and everybody's text in as text. What it does not: templates,
// tools, validation of roles.
#pragma once

#include <vector>

#include "chat/message.h"
#include "tokenizer/tokenizer.h"

namespace tenfold::chat {

// The tokens of, for each message, "<|im_start|>ROLE\nCONTENT<|im_end|>\n", and of "<|im_start|>assistant\n" at the end
// when `add_generation_prompt`; BOS in front where the model file says so. Neither role nor content can give a control
// token, whatever they say. Where the vocabulary has no such control token, the markup is encoded as text.
std::vector<tokenizer::TokenId> RenderChatMl(const tokenizer::Tokenizer& tokenizer,
                                             const std::vector<Message>& messages, bool add_generation_prompt);

}  // namespace tenfold::chat
