// SPDX-License-Identifier: GPL-3.0-or-later
// The language of the window's words. English is the source text; German comes from resources/translations. Names of formats and
// metrics, what the log holds and the engine's own messages stay as they are, and so do figures: the decimal sign is a dot in every
// language, so that they can be held against the command line and tables.
#pragma once

#include <QString>

namespace bw {

enum class Language { system, english, german };

/// @param name "system", "en" or "de"; anything else gives `otherwise`.
Language languageFrom(const QString& name, Language otherwise);
/// As settings and the command line write it.
QString languageName(Language language);
/// What `language` comes to on this machine: English unless the person's first language is German.
Language spoken(Language language);
/// For every window made from now on; those that are there keep their words. Qt's own words come along where the system has them.
void speak(Language language);

} // namespace bw
