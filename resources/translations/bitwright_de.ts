<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>QAbstractSpinBox</name>
    <message>
        <source>&amp;Select All</source>
        <translation>&amp;Alles auswählen</translation>
    </message>
    <message>
        <source>&amp;Step up</source>
        <translation>&amp;Höher</translation>
    </message>
    <message>
        <source>Step &amp;down</source>
        <translation>&amp;Niedriger</translation>
    </message>
</context>
<context>
    <name>QCommandLineParser</name>
    <message>
        <source>Displays help on commandline options.</source>
        <translation>Zeigt diese Hilfe.</translation>
    </message>
    <message>
        <source>Displays help including Qt specific options.</source>
        <translation>Zeigt die Hilfe mit den Optionen von Qt.</translation>
    </message>
    <message>
        <source>Displays version information.</source>
        <translation>Zeigt die Version.</translation>
    </message>
    <message>
        <source>Usage: %1</source>
        <translation>Aufruf: %1</translation>
    </message>
    <message>
        <source>Options:</source>
        <translation>Optionen:</translation>
    </message>
    <message>
        <source>Arguments:</source>
        <translation>Argumente:</translation>
    </message>
    <message>
        <source>[options]</source>
        <translation>[Optionen]</translation>
    </message>
</context>
<context>
    <name>QDockWidget</name>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Float</source>
        <translation>Ablösen</translation>
    </message>
    <message>
        <source>Closes the dock widget</source>
        <translation>Schließt den Bereich</translation>
    </message>
    <message>
        <source>Undocks and re-attaches the dock widget</source>
        <translation>Löst den Bereich ab und fügt ihn wieder an</translation>
    </message>
</context>
<context>
    <name>QLineEdit</name>
    <message>
        <source>&amp;Undo</source>
        <translation>&amp;Rückgängig</translation>
    </message>
    <message>
        <source>&amp;Redo</source>
        <translation>&amp;Wiederholen</translation>
    </message>
    <message>
        <source>Cu&amp;t</source>
        <translation>&amp;Ausschneiden</translation>
    </message>
    <message>
        <source>&amp;Copy</source>
        <translation>&amp;Kopieren</translation>
    </message>
    <message>
        <source>&amp;Paste</source>
        <translation>&amp;Einfügen</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message>
        <source>Select All</source>
        <translation>Alles auswählen</translation>
    </message>
</context>
<context>
    <name>QPlatformTheme</name>
    <message>
        <source>OK</source>
        <translation>OK</translation>
    </message>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Save</source>
        <translation>Speichern</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>&amp;Yes</source>
        <translation>&amp;Ja</translation>
    </message>
    <message>
        <source>&amp;No</source>
        <translation>&amp;Nein</translation>
    </message>
</context>
<context>
    <name>QShortcut</name>
    <message>
        <source>Ctrl</source>
        <translation>Strg</translation>
    </message>
    <message>
        <source>Shift</source>
        <translation>Umschalt</translation>
    </message>
    <message>
        <source>Alt</source>
        <translation>Alt</translation>
    </message>
    <message>
        <source>Return</source>
        <translation>Eingabe</translation>
    </message>
    <message>
        <source>Space</source>
        <translation>Leertaste</translation>
    </message>
    <message>
        <source>Del</source>
        <translation>Entf</translation>
    </message>
    <message>
        <source>Left</source>
        <translation>Links</translation>
    </message>
    <message>
        <source>Right</source>
        <translation>Rechts</translation>
    </message>
    <message>
        <source>Up</source>
        <translation>Hoch</translation>
    </message>
    <message>
        <source>Down</source>
        <translation>Runter</translation>
    </message>
</context>
<context>
    <name>QUndoStack</name>
    <message>
        <source>Undo %1</source>
        <translation>Rückgängig: %1</translation>
    </message>
    <message>
        <source>Undo</source>
        <comment>Default text for undo action</comment>
        <translation>Rückgängig</translation>
    </message>
    <message>
        <source>Redo %1</source>
        <translation>Wiederholen: %1</translation>
    </message>
    <message>
        <source>Redo</source>
        <comment>Default text for redo action</comment>
        <translation>Wiederholen</translation>
    </message>
</context>
<context>
    <name>QWidgetTextControl</name>
    <message>
        <source>&amp;Undo</source>
        <translation>&amp;Rückgängig</translation>
    </message>
    <message>
        <source>&amp;Redo</source>
        <translation>&amp;Wiederholen</translation>
    </message>
    <message>
        <source>Cu&amp;t</source>
        <translation>&amp;Ausschneiden</translation>
    </message>
    <message>
        <source>&amp;Copy</source>
        <translation>&amp;Kopieren</translation>
    </message>
    <message>
        <source>&amp;Paste</source>
        <translation>&amp;Einfügen</translation>
    </message>
    <message>
        <source>Delete</source>
        <translation>Löschen</translation>
    </message>
    <message>
        <source>Select All</source>
        <translation>Alles auswählen</translation>
    </message>
    <message>
        <source>Copy &amp;Link Location</source>
        <translation>&amp;Link kopieren</translation>
    </message>
</context>
<context>
    <name>bw</name>
    <message>
        <source>GGUF blocks</source>
        <translation>GGUF-Blöcke</translation>
    </message>
    <message>
        <source>integers</source>
        <translation>Ganzzahlen</translation>
    </message>
    <message>
        <source>small floats</source>
        <translation>kleine Gleitkommazahlen</translation>
    </message>
    <message>
        <source>MX and NVFP4</source>
        <translation>MX und NVFP4</translation>
    </message>
    <message>
        <source>normal floats</source>
        <translation>Normal-Floats (NF)</translation>
    </message>
    <message>
        <source>GGUF, one or two bits</source>
        <translation>GGUF, ein oder zwei Bits</translation>
    </message>
    <message>
        <source>plain floats</source>
        <translation>einfache Gleitkommazahlen</translation>
    </message>
    <message>
        <source>n/a</source>
        <translation>k. A.</translation>
    </message>
    <message>
        <source>%1 bits/weight</source>
        <translation>%1 Bits/Gewicht</translation>
    </message>
    <message>
        <source>%1 could not be written: %2. Choose a folder you may write to.</source>
        <translation>%1 ließ sich nicht schreiben: %2. Wählen Sie einen Ordner, in den Sie schreiben dürfen.</translation>
    </message>
    <message>
        <source>Not saved</source>
        <translation>Nicht gespeichert</translation>
    </message>
    <message>
        <source>The picture would be larger than %1 pixels. Make the window smaller.</source>
        <translation>Das Bild wäre größer als %1 Pixel. Verkleinern Sie das Fenster.</translation>
    </message>
    <message>
        <source>“%1” is no picture type known here. Use .png, .svg or .pdf.</source>
        <translation>„%1“ ist kein bekannter Bildtyp. Möglich sind .png, .svg und .pdf.</translation>
    </message>
    <message>
        <source>The picture could not be encoded.</source>
        <translation>Das Bild ließ sich nicht kodieren.</translation>
    </message>
    <message>
        <source>Save as PNG (2×)…</source>
        <translation>Als PNG speichern (2×) …</translation>
    </message>
    <message>
        <source>PNG picture (*.png)</source>
        <translation>PNG-Bild (*.png)</translation>
    </message>
    <message>
        <source>Save as SVG…</source>
        <translation>Als SVG speichern …</translation>
    </message>
    <message>
        <source>SVG drawing (*.svg)</source>
        <translation>SVG-Zeichnung (*.svg)</translation>
    </message>
    <message>
        <source>Save as PDF…</source>
        <translation>Als PDF speichern …</translation>
    </message>
    <message>
        <source>PDF document (*.pdf)</source>
        <translation>PDF-Dokument (*.pdf)</translation>
    </message>
    <message>
        <source>Save data as CSV…</source>
        <translation>Daten als CSV speichern …</translation>
    </message>
    <message>
        <source>Save data as CSV</source>
        <translation>Daten als CSV speichern</translation>
    </message>
    <message>
        <source>CSV table (*.csv)</source>
        <translation>CSV-Tabelle (*.csv)</translation>
    </message>
    <message>
        <source>Copy as PNG</source>
        <translation>Als PNG kopieren</translation>
    </message>
    <message>
        <source>Copy as SVG</source>
        <translation>Als SVG kopieren</translation>
    </message>
    <message>
        <source>Copy data as CSV</source>
        <translation>Daten als CSV kopieren</translation>
    </message>
    <message>
        <source>measured KL</source>
        <translation>gemessene KL</translation>
    </message>
    <message>
        <source>Fisher estimate</source>
        <translation>Fisher-Schätzung</translation>
    </message>
    <message>
        <source>KL scaled by output error</source>
        <translation>KL, nach Ausgabefehler skaliert</translation>
    </message>
    <message>
        <source>output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>does not exist</source>
        <translation>existiert nicht</translation>
    </message>
    <message>
        <source>a folder without config.json or .safetensors</source>
        <translation>ein Ordner ohne config.json oder .safetensors</translation>
    </message>
    <message>
        <source>not a regular file</source>
        <translation>keine normale Datei</translation>
    </message>
    <message>
        <source>not a file that is read here</source>
        <translation>keine Datei, die hier gelesen wird</translation>
    </message>
    <message>
        <source>one checkpoint at a time</source>
        <translation>nur ein Checkpoint auf einmal</translation>
    </message>
    <message>
        <source>one recipe at a time</source>
        <translation>nur ein Rezept auf einmal</translation>
    </message>
    <message>
        <source>one log at a time</source>
        <translation>nur ein Protokoll auf einmal</translation>
    </message>
    <message>
        <source>and %1 more</source>
        <translation>und %1 weitere</translation>
    </message>
    <message>
        <source>%1: not on this computer</source>
        <translation>%1: nicht auf diesem Rechner</translation>
    </message>
    <message>
        <source>There was not enough memory.</source>
        <translation>Der Speicher reichte nicht aus.</translation>
    </message>
    <message>
        <source>Use fewer samples or a shorter length, or close other programs.</source>
        <translation>Nehmen Sie weniger oder kürzere Stichproben, oder schließen Sie andere Programme.</translation>
    </message>
    <message>
        <source>This is a fault of the program. Please copy the details and report them.</source>
        <translation>Das ist ein Fehler des Programms. Bitte kopieren Sie die Einzelheiten und melden Sie sie.</translation>
    </message>
    <message>
        <source>en</source>
        <comment>the code of this language, for the names of months</comment>
        <translation>de</translation>
    </message>
</context>
<context>
    <name>bw::ActivationPanel</name>
    <message>
        <source>min–max</source>
        <translation>Min–Max</translation>
    </message>
    <message>
        <source>percentile 99.9</source>
        <translation>Perzentil 99.9</translation>
    </message>
    <message>
        <source>KL divergence</source>
        <translation>KL-Divergenz</translation>
    </message>
    <message>
        <source>least squares</source>
        <translation>kleinste Quadrate</translation>
    </message>
    <message>
        <source>Activations</source>
        <translation>Aktivierungen</translation>
    </message>
    <message>
        <source>Histogram of the activations</source>
        <translation>Histogramm der Aktivierungen</translation>
    </message>
    <message>
        <source>log counts</source>
        <translation>log</translation>
    </message>
    <message>
        <source>clip range</source>
        <translation>Kappung</translation>
    </message>
    <message>
        <source>low … high</source>
        <translation>von … bis</translation>
    </message>
    <message>
        <source>clipped</source>
        <translation>gekappt</translation>
    </message>
    <message>
        <source>8-bit error</source>
        <translation>8-Bit-Fehler</translation>
    </message>
    <message>
        <source>relative error of an 8-bit grid over this range, on windows it was not fitted to</source>
        <translation>relativer Fehler eines 8-Bit-Gitters über diesen Bereich, auf Fenstern, an die es nicht angepasst wurde</translation>
    </message>
    <message>
        <source>Activations into %1</source>
        <translation>Aktivierungen in %1</translation>
    </message>
    <message>
        <source>%1 · %2 tokens · drag a line to see what it clips</source>
        <translation>%1 · %2 Tokens · Linie ziehen zeigt, was sie kappt</translation>
    </message>
    <message>
        <source>Calibrate to see what enters each site</source>
        <translation>Kalibrieren zeigt, was in jede Stelle eingeht</translation>
    </message>
    <message>
        <source>The embedding is looked up: it has no activations</source>
        <translation>Das Embedding wird nachgeschlagen: keine Aktivierungen</translation>
    </message>
    <message>
        <source>No statistics of this site</source>
        <translation>Keine Statistik zu dieser Stelle</translation>
    </message>
    <message>
        <source>max |x| %1   kurtosis %2   beyond 6 rms %3 %   %4</source>
        <translation>max |x| %1   Kurtosis %2   über 6 RMS %3 %   %4</translation>
    </message>
    <message>
        <source>1 outlier channel</source>
        <translation>1 Ausreißerkanal</translation>
    </message>
    <message>
        <source>%1 outlier channels</source>
        <translation>%1 Ausreißerkanäle</translation>
    </message>
    <message>
        <source>moved</source>
        <translation>verschoben</translation>
    </message>
</context>
<context>
    <name>bw::AgreementPlot</name>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bits</translation>
    </message>
    <message>
        <source>Agreement</source>
        <translation>Abgleich</translation>
    </message>
    <message>
        <source>%1 points, %2 against %3</source>
        <translation>%1 Punkte, %2 gegen %3</translation>
    </message>
    <message>
        <source>%1 · %2
%3: %4
%5: %6
click to select the site</source>
        <translation>%1 · %2
%3: %4
%5: %6
Klicken wählt die Stelle</translation>
    </message>
</context>
<context>
    <name>bw::AgreementView</name>
    <message>
        <source>Agreement</source>
        <translation>Abgleich</translation>
    </message>
    <message>
        <source>Along the side</source>
        <translation>Senkrechte Achse</translation>
    </message>
    <message>
        <source>Along the bottom</source>
        <translation>Waagerechte Achse</translation>
    </message>
    <message>
        <source>against</source>
        <translation>gegen</translation>
    </message>
    <message>
        <source>By format</source>
        <translation>Nach Format</translation>
    </message>
    <message>
        <source>format</source>
        <translation>Format</translation>
    </message>
    <message>
        <source>ratio</source>
        <translation>Verhältnis</translation>
    </message>
    <message>
        <source>Spearman&apos;s rank correlation</source>
        <translation>Rangkorrelation nach Spearman</translation>
    </message>
    <message>
        <source>median of the first over the second</source>
        <translation>Median von erster durch zweite</translation>
    </message>
    <message>
        <source>Agreement by format</source>
        <translation>Abgleich nach Format</translation>
    </message>
    <message>
        <source>Most at odds</source>
        <translation>Größte Unterschiede</translation>
    </message>
    <message>
        <source>site</source>
        <translation>Stelle</translation>
    </message>
    <message>
        <source>Sites most at odds</source>
        <translation>Stellen mit den größten Unterschieden</translation>
    </message>
    <message>
        <source>Table below</source>
        <translation>Tabelle darunter</translation>
    </message>
    <message>
        <source>There is one map of this model: %1.
Run a second sweep (Presets ▾ on the right, or &quot;bitwright-cli sweep --metric …&quot;): this page then shows how far the two agree, format by format and site by site.</source>
        <translation>Von diesem Modell gibt es eine Karte: %1.
Ein zweiter Sweep (Vorlagen ▾ rechts oder &quot;bitwright-cli sweep --metric …&quot;) zeigt hier, wie weit beide übereinstimmen, Format für Format und Stelle für Stelle.</translation>
    </message>
    <message>
        <source>No sweep of this model yet.
Run two of them, the Fisher estimate and measured KL say: this page then shows how far they agree, format by format and site by site.</source>
        <translation>Noch kein Sweep dieses Modells.
Zwei davon, etwa Fisher-Schätzung und gemessene KL, zeigen hier, wie weit sie übereinstimmen, Format für Format und Stelle für Stelle.</translation>
    </message>
    <message>
        <source>%1, relative</source>
        <translation>%1, relativ</translation>
    </message>
    <message>
        <source>%1, nats per token</source>
        <translation>%1, Nats je Token</translation>
    </message>
    <message>
        <source>choose two different ones</source>
        <translation>zwei verschiedene wählen</translation>
    </message>
    <message>
        <source>no cell in common</source>
        <translation>keine gemeinsame Zelle</translation>
    </message>
    <message>
        <source>all</source>
        <translation>alle</translation>
    </message>
    <message>
        <source>%1 cells</source>
        <translation>%1 Zellen</translation>
    </message>
    <message>
        <source>rank correlation; of logarithms: %1</source>
        <translation>Rangkorrelation; der Logarithmen: %1</translation>
    </message>
    <message>
        <source>the two have no unit in common</source>
        <translation>beide haben keine gemeinsame Einheit</translation>
    </message>
    <message>
        <source>median of %1 / %2</source>
        <translation>Median von %1 / %2</translation>
    </message>
    <message>
        <source>Spearman %1</source>
        <translation>Spearman %1</translation>
    </message>
    <message>
        <source>Spearman %1 · ratio %2</source>
        <translation>Spearman %1 · Verhältnis %2</translation>
    </message>
    <message>
        <source>%1: %2
%3: %4</source>
        <translation>%1: %2
%3: %4</translation>
    </message>
</context>
<context>
    <name>bw::BitsGrid</name>
    <message>
        <source>not in map</source>
        <translation>nicht in Karte</translation>
    </message>
    <message>
        <source>Bits per site</source>
        <translation>Bits je Stelle</translation>
    </message>
    <message>
        <source>no checkpoint open</source>
        <translation>kein Checkpoint offen</translation>
    </message>
    <message>
        <source>head</source>
        <translation>Kopf</translation>
    </message>
    <message>
        <source>damage unknown: no map yet</source>
        <translation>Schaden unbekannt: noch keine Karte</translation>
    </message>
    <message>
        <source>%1, log</source>
        <translation>%1, log</translation>
    </message>
    <message>
        <source>measured</source>
        <translation>gemessen</translation>
    </message>
    <message>
        <source>doubtful</source>
        <translation>fraglich</translation>
    </message>
    <message>
        <source>≤ %1</source>
        <translation>≤ %1</translation>
    </message>
    <message>
        <source>%1 to %2</source>
        <translation>%1 auf %2</translation>
    </message>
    <message numerus="yes">
        <source>Paint %1 on %n sites</source>
        <translation>
            <numerusform>%1 auf %n Stelle malen</numerusform>
            <numerusform>%1 auf %n Stellen malen</numerusform>
        </translation>
    </message>
    <message>
        <source>%1 · %2 × %3
%4 · %5</source>
        <translation>%1 · %2 × %3
%4 · %5</translation>
    </message>
    <message>
        <source>
damage at this format is not in the map</source>
        <translation>
der Schaden in diesem Format steht nicht in der Karte</translation>
    </message>
    <message>
        <source>
damage %1 %2</source>
        <translation>
Schaden %1 %2</translation>
    </message>
    <message>
        <source> (%1)</source>
        <translation> (%1)</translation>
    </message>
    <message>
        <source>
doubtful: %1</source>
        <translation>
fraglich: %1</translation>
    </message>
    <message>
        <source>
pinned: the solver leaves it as it is</source>
        <translation>
fixiert: der Löser lässt sie, wie sie ist</translation>
    </message>
    <message>
        <source>Arrows move, 2 3 4 5 6 8 F set a format, space pins</source>
        <translation>Pfeile bewegen, 2 3 4 5 6 8 F setzen ein Format, Leertaste fixiert</translation>
    </message>
</context>
<context>
    <name>bw::BlockStrip</name>
    <message>
        <source>Bytes per block</source>
        <translation>Bytes je Block</translation>
    </message>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
    <message>
        <source>largest %1</source>
        <translation>größter %1</translation>
    </message>
    <message>
        <source>%1 · %2 · %3</source>
        <translation>%1 · %2 · %3</translation>
    </message>
</context>
<context>
    <name>bw::BudgetPanel</name>
    <message>
        <source>Budget</source>
        <translation>Budget</translation>
    </message>
    <message>
        <source>Size of the file</source>
        <translation>Größe der Datei</translation>
    </message>
    <message>
        <source>Solve for %1</source>
        <translation>Für %1 lösen</translation>
    </message>
    <message>
        <source>Budget %1</source>
        <translation>Budget %1</translation>
    </message>
    <message>
        <source>predicted: no map yet</source>
        <translation>Vorhersage: noch keine Karte</translation>
    </message>
    <message>
        <source>predicted: the map does not know these formats</source>
        <translation>Vorhersage: Formate fehlen in der Karte</translation>
    </message>
    <message>
        <source>predicted %1</source>
        <translation>vorhergesagt %1</translation>
    </message>
    <message numerus="yes">
        <source> + %n unknown</source>
        <translation>
            <numerusform> + %n unbekannt</numerusform>
            <numerusform> + %n unbekannt</numerusform>
        </translation>
    </message>
    <message>
        <source>Predicted damage of the whole mix, %1, ± one standard error.
Sum of what each site does alone: %2</source>
        <translation>Vorhergesagter Schaden der ganzen Mischung, %1, ± ein Standardfehler.
Summe dessen, was jede Stelle allein bewirkt: %2</translation>
    </message>
    <message>
        <source>
Sites acting together: %1 (%2 % of it believed, the rest may be noise of the probes)</source>
        <translation>
Zusammenwirken der Stellen: %1 (davon %2 % geglaubt, der Rest kann Rauschen der Proben sein)</translation>
    </message>
    <message>
        <source>
Large damage levels off: %1 becomes %2</source>
        <translation>
Großer Schaden sättigt: aus %1 wird %2</translation>
    </message>
    <message>
        <source>
Sites whose format is not in the map are not counted: %1</source>
        <translation>
Stellen, deren Format nicht in der Karte steht, zählen nicht: %1</translation>
    </message>
    <message>
        <source>%1  ·  %2</source>
        <translation>%1  ·  %2</translation>
    </message>
    <message>
        <source>%1 bytes in all tensors of this mix</source>
        <translation>%1 Bytes in allen Tensoren dieser Mischung</translation>
    </message>
    <message>
        <source>%1 min</source>
        <translation>%1 min</translation>
    </message>
    <message>
        <source>%1 max</source>
        <translation>%1 max</translation>
    </message>
    <message>
        <source>More bytes than this buy nothing that the map can see.</source>
        <translation>Mehr Bytes bringen nichts, was die Karte erkennen kann.</translation>
    </message>
    <message>
        <source>measured %1 ✓</source>
        <translation>gemessen %1 ✓</translation>
    </message>
    <message>
        <source>KL against the baseline, nats per token, run %1</source>
        <translation>KL gegen das Original, Nats je Token, Lauf %1</translation>
    </message>
    <message>
        <source>predicted / measured %1</source>
        <translation>vorhergesagt / gemessen %1</translation>
    </message>
    <message>
        <source>above: predicted, below: measured, each ± one standard error
%1</source>
        <translation>oben: vorhergesagt, unten: gemessen, je ± ein Standardfehler
%1</translation>
    </message>
</context>
<context>
    <name>bw::CalibratePage</name>
    <message>
        <source>Panel below</source>
        <translation>Bereich darunter</translation>
    </message>
    <message>
        <source>What if</source>
        <translation>Was wäre wenn</translation>
    </message>
    <message>
        <source>Outlier map</source>
        <translation>Ausreißerkarte</translation>
    </message>
    <message>
        <source>Experts</source>
        <translation>Experten</translation>
    </message>
</context>
<context>
    <name>bw::Candidates</name>
    <message>
        <source>–: not among the likeliest that were kept</source>
        <translation>–: nicht unter den aufbewahrten wahrscheinlichsten</translation>
    </message>
</context>
<context>
    <name>bw::ChannelBars</name>
    <message>
        <source>channel %1: %2</source>
        <translation>Kanal %1: %2</translation>
    </message>
</context>
<context>
    <name>bw::ChannelPlot</name>
    <message>
        <source>output channel</source>
        <translation>Ausgangskanal</translation>
    </message>
    <message>
        <source>max |w|</source>
        <translation>max |w|</translation>
    </message>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
    <message>
        <source>channel %1: %2</source>
        <translation>Kanal %1: %2</translation>
    </message>
</context>
<context>
    <name>bw::CommandPalette</name>
    <message>
        <source>Type an action, a site or a run</source>
        <translation>Aktion, Stelle oder Lauf eingeben</translation>
    </message>
    <message>
        <source>Command palette</source>
        <translation>Befehlspalette</translation>
    </message>
    <message>
        <source>Matches</source>
        <translation>Treffer</translation>
    </message>
</context>
<context>
    <name>bw::ComparePage</name>
    <message>
        <source>Compare</source>
        <translation>Vergleichen</translation>
    </message>
    <message>
        <source>Swap A and B</source>
        <translation>A und B tauschen</translation>
    </message>
    <message>
        <source>Go to the runs</source>
        <translation>Zu den Läufen</translation>
    </message>
    <message>
        <source>Curve</source>
        <translation>Kurve</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>Reliability</source>
        <translation>Güte</translation>
    </message>
    <message>
        <source>Spread</source>
        <translation>Streuung</translation>
    </message>
    <message>
        <source>KL of each token, linked to the text below</source>
        <translation>KL jedes Tokens, mit dem Text darunter verbunden</translation>
    </message>
    <message>
        <source>Was each run as often right as it was sure? Below the diagonal it claims too much.
Bars: 95 % of the share that came true.</source>
        <translation>Hatte jeder Lauf so oft recht, wie er sicher war? Unter der Diagonale verspricht er zu viel.
Balken: 95 % des eingetroffenen Anteils.</translation>
    </message>
    <message>
        <source>How many tokens have how much KL: a long tail at the right means that few carry most of the damage.</source>
        <translation>Wie viele Tokens haben wie viel KL: Ein langer Ausläufer rechts heißt, dass wenige den größten Schaden tragen.</translation>
    </message>
    <message>
        <source>Curves</source>
        <translation>Kurven</translation>
    </message>
    <message>
        <source>Error by site, B − A</source>
        <translation>Fehler je Stelle, B − A</translation>
    </message>
    <message>
        <source>Difference of error by site</source>
        <translation>Unterschied des Fehlers je Stelle</translation>
    </message>
    <message>
        <source>What differs in the recipes</source>
        <translation>Unterschiede der Rezepte</translation>
    </message>
    <message>
        <source>copy command</source>
        <translation>Befehl kopieren</translation>
    </message>
    <message>
        <source>Markdown</source>
        <translation>Markdown</translation>
    </message>
    <message>
        <source>CSV…</source>
        <translation>CSV …</translation>
    </message>
    <message>
        <source>Write report…</source>
        <translation>Bericht schreiben …</translation>
    </message>
    <message>
        <source>One HTML page on both runs, for people who do not have the program</source>
        <translation>Eine HTML-Seite über beide Läufe, für Leute ohne das Programm</translation>
    </message>
    <message>
        <source>Copy the whole comparison as Markdown</source>
        <translation>Ganzen Vergleich als Markdown kopieren</translation>
    </message>
    <message>
        <source>Save the metrics as a CSV table</source>
        <translation>Metriken als CSV-Tabelle speichern</translation>
    </message>
    <message>
        <source>The comparison is on the clipboard as Markdown.</source>
        <translation>Der Vergleich liegt als Markdown in der Zwischenablage.</translation>
    </message>
    <message>
        <source>The command is on the clipboard.</source>
        <translation>Der Befehl liegt in der Zwischenablage.</translation>
    </message>
    <message>
        <source>Save the comparison</source>
        <translation>Vergleich speichern</translation>
    </message>
    <message>
        <source>CSV table (*.csv)</source>
        <translation>CSV-Tabelle (*.csv)</translation>
    </message>
    <message>
        <source>Not saved</source>
        <translation>Nicht gespeichert</translation>
    </message>
    <message>
        <source>Comparing …</source>
        <translation>Vergleicht …</translation>
    </message>
    <message>
        <source>The tokens of both runs are paired, and the intervals worked out.</source>
        <translation>Die Tokens beider Läufe werden gepaart und die Intervalle berechnet.</translation>
    </message>
    <message>
        <source>These runs can&apos;t be compared</source>
        <translation>Diese Läufe lassen sich nicht vergleichen</translation>
    </message>
    <message>
        <source>Choose two runs</source>
        <translation>Zwei Läufe wählen</translation>
    </message>
    <message>
        <source>Nothing to compare yet</source>
        <translation>Noch nichts zu vergleichen</translation>
    </message>
    <message>
        <source>Pick A and B above, or select two runs in the table and press C.</source>
        <translation>Wählen Sie oben A und B, oder zwei Läufe in der Tabelle und dann C.</translation>
    </message>
    <message>
        <source>Two finished runs are needed. Quantize a checkpoint in two ways, or try the demo model.</source>
        <translation>Nötig sind zwei fertige Läufe. Quantisieren Sie einen Checkpoint auf zwei Arten, oder probieren Sie das Demo-Modell.</translation>
    </message>
    <message>
        <source>both %1</source>
        <translation>beide %1</translation>
    </message>
    <message>
        <source>A %1 · B %2</source>
        <translation>A %1 · B %2</translation>
    </message>
    <message>
        <source>‖W−Ŵ‖²/‖W‖²</source>
        <translation>‖W−Ŵ‖²/‖W‖²</translation>
    </message>
    <message>
        <source>These runs have no formats by site in common.</source>
        <translation>Diese Läufe haben keine Formate je Stelle gemeinsam.</translation>
    </message>
    <message>
        <source>blue: more in A · amber: more in B</source>
        <translation>blau: mehr in A · gelb: mehr in B</translation>
    </message>
    <message>
        <source>Neither run was scored against a baseline.</source>
        <translation>Keiner der Läufe wurde am Original gemessen.</translation>
    </message>
    <message>
        <source>different texts: only A is drawn</source>
        <translation>verschiedene Texte: nur A gezeichnet</translation>
    </message>
</context>
<context>
    <name>bw::Comparison</name>
    <message>
        <source>mean KL, nats</source>
        <translation>mittlere KL, Nats</translation>
    </message>
    <message>
        <source>same top token</source>
        <translation>Top-1 gleich</translation>
    </message>
    <message>
        <source>perplexity</source>
        <translation>Perplexität</translation>
    </message>
    <message>
        <source>NLL per token</source>
        <translation>NLL je Token</translation>
    </message>
    <message>
        <source>mean KL, exact</source>
        <translation>mittlere KL, exakt</translation>
    </message>
    <message>
        <source>perplexity, exact</source>
        <translation>Perplexität, exakt</translation>
    </message>
    <message>
        <source>median KL</source>
        <translation>Median der KL</translation>
    </message>
    <message>
        <source>99 % KL</source>
        <translation>99 %-KL</translation>
    </message>
    <message>
        <source>99.9 % KL</source>
        <translation>99.9 %-KL</translation>
    </message>
    <message>
        <source>largest KL</source>
        <translation>größte KL</translation>
    </message>
    <message>
        <source>Δp, RMS</source>
        <translation>Δp, RMS</translation>
    </message>
    <message>
        <source>calibration error</source>
        <translation>Kalibrierungsfehler</translation>
    </message>
    <message>
        <source>Brier score</source>
        <translation>Brier-Wert</translation>
    </message>
    <message>
        <source>size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>bits per weight</source>
        <translation>Bits je Gewicht</translation>
    </message>
    <message>
        <source>B − A (95 %)</source>
        <translation>B − A (95 %)</translation>
    </message>
    <message>
        <source>text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>position</source>
        <translation>Position</translation>
    </message>
    <message>
        <source>Fair comparison: same text, settings, baseline and stack.</source>
        <translation>Fairer Vergleich: gleicher Text, gleiche Einstellungen, gleiches Original, gleiche Software.</translation>
    </message>
    <message>
        <source>Not a fair comparison: %1.</source>
        <translation>Kein fairer Vergleich: %1.</translation>
    </message>
    <message>
        <source>what differs</source>
        <translation>Unterschied</translation>
    </message>
    <message>
        <source>run %1</source>
        <translation>Lauf %1</translation>
    </message>
    <message>
        <source>paired, windows drawn anew</source>
        <translation>gepaart, Fenster neu gezogen</translation>
    </message>
    <message>
        <source>top token right</source>
        <translation>Top-Token richtig</translation>
    </message>
    <message>
        <source>B is better</source>
        <translation>B ist besser</translation>
    </message>
    <message>
        <source>B is worse</source>
        <translation>B ist schlechter</translation>
    </message>
    <message>
        <source>not distinguishable: the interval holds zero, or seeds differ as much</source>
        <translation>nicht unterscheidbar: das Intervall enthält null, oder Seeds weichen ebenso ab</translation>
    </message>
    <message>
        <source>95 % interval %1, %2</source>
        <translation>95 %-Intervall %1, %2</translation>
    </message>
    <message>
        <source>over windows %1</source>
        <translation>über Fenster %1</translation>
    </message>
    <message>
        <source>over windows %1, over documents %2</source>
        <translation>über Fenster %1, über Dokumente %2</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>not distinguishable</source>
        <translation>nicht unterscheidbar</translation>
    </message>
</context>
<context>
    <name>bw::DamageSelector</name>
    <message>
        <source>no output-error sweep yet</source>
        <translation>noch kein Ausgabefehler-Sweep</translation>
    </message>
    <message>
        <source>no Fisher sweep yet</source>
        <translation>noch kein Fisher-Sweep</translation>
    </message>
    <message>
        <source>no KL sweep yet</source>
        <translation>noch kein KL-Sweep</translation>
    </message>
    <message>
        <source>no sweep yet</source>
        <translation>noch kein Sweep</translation>
    </message>
    <message>
        <source>%1 of %2</source>
        <translation>%1 × %2</translation>
    </message>
    <message>
        <source>cells: %1 · run %2</source>
        <translation>Zellen: %1 · Lauf %2</translation>
    </message>
    <message>
        <source>Fisher estimate</source>
        <translation>Fisher</translation>
    </message>
    <message>
        <source>measured KL</source>
        <translation>gemessene KL</translation>
    </message>
    <message>
        <source>output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>best known</source>
        <translation>beste</translation>
    </message>
    <message>
        <source>Measured where it was, the Fisher estimate elsewhere, output errors when there is nothing else</source>
        <translation>Gemessen, wo es geschah, sonst die Fisher-Schätzung, Ausgabefehler nur, wenn nichts anderes da ist</translation>
    </message>
    <message>
        <source>%1  ▾</source>
        <translation>%1  ▾</translation>
    </message>
    <message>
        <source>Damage by %1</source>
        <translation>Schaden nach: %1</translation>
    </message>
</context>
<context>
    <name>bw::DataPanel</name>
    <message>
        <source>Only %1 samples: ranges and importances will be noisy; 128 or more is usual.</source>
        <translation>Nur %1 Stichproben: Bereiche und Wichtigkeiten werden verrauscht; üblich sind 128 oder mehr.</translation>
    </message>
    <message>
        <source>%1 samples: 128 or more is usual.</source>
        <translation>%1 Stichproben: üblich sind 128 oder mehr.</translation>
    </message>
    <message>
        <source>Samples of %1 tokens see no long contexts; 512 or more is usual.</source>
        <translation>Stichproben von %1 Tokens sehen keine langen Kontexte; üblich sind 512 oder mehr.</translation>
    </message>
    <message>
        <source>%1 is not there any more.</source>
        <translation>%1 ist nicht mehr da.</translation>
    </message>
    <message>
        <source>%1 is also the evaluation text: figures would flatter.</source>
        <translation>%1 ist auch Evaluierungstext: Die Werte würden geschönt.</translation>
    </message>
    <message>
        <source>Calibration set</source>
        <translation>Kalibrierungsdaten</translation>
    </message>
    <message>
        <source>Samples</source>
        <translation>Stichproben</translation>
    </message>
    <message>
        <source>Tokens per sample</source>
        <translation>Tokens je Stichprobe</translation>
    </message>
    <message>
        <source>What the last calibration found in its texts</source>
        <translation>Was die letzte Kalibrierung in ihren Texten fand</translation>
    </message>
    <message>
        <source>samples</source>
        <translation>Stichproben</translation>
    </message>
    <message>
        <source>tokens per sample</source>
        <translation>Länge in Tokens</translation>
    </message>
    <message>
        <source>tokens in all</source>
        <translation>Tokens insgesamt</translation>
    </message>
    <message>
        <source>Add texts…</source>
        <translation>Texte …</translation>
    </message>
    <message>
        <source>Calibrate</source>
        <translation>Kalibrieren</translation>
    </message>
    <message>
        <source>copy as command</source>
        <translation>als Befehl kopieren</translation>
    </message>
    <message>
        <source>Sampling</source>
        <translation>Auswahl</translation>
    </message>
    <message>
        <source>even</source>
        <translation>gleichmäßig</translation>
    </message>
    <message>
        <source>windows at equal distances through the texts</source>
        <translation>Fenster in gleichen Abständen durch die Texte</translation>
    </message>
    <message>
        <source>at random</source>
        <translation>zufällig</translation>
    </message>
    <message>
        <source>by the recipe&apos;s seed</source>
        <translation>nach dem Seed des Rezepts</translation>
    </message>
    <message>
        <source>balanced</source>
        <translation>ausgewogen</translation>
    </message>
    <message>
        <source>more windows for experts that see little; random where there are none</source>
        <translation>mehr Fenster für Experten, die wenig sehen; ohne Experten zufällig</translation>
    </message>
    <message>
        <source>Tokens that every expert should see</source>
        <translation>Tokens, die jeder Experte sehen soll</translation>
    </message>
    <message>
        <source>Shortest document, in tokens</source>
        <translation>Kürzestes Dokument, in Tokens</translation>
    </message>
    <message>
        <source>any</source>
        <translation>beliebig</translation>
    </message>
    <message>
        <source>Documents with fewer tokens are left out.</source>
        <translation>Dokumente mit weniger Tokens bleiben weg.</translation>
    </message>
    <message>
        <source>leave out repetitions</source>
        <translation>Wiederholungen weglassen</translation>
    </message>
    <message>
        <source>Repeated documents and windows count once.</source>
        <translation>Wiederholte Dokumente und Fenster zählen einmal.</translation>
    </message>
    <message>
        <source>keep Gram matrices</source>
        <translation>Gram-Matrizen behalten</translation>
    </message>
    <message>
        <source>Also sums xᵀx of every input and keeps it in the cache: searches of scales and clips (AWQ, SmoothQuant) then start at once. It takes more time now, and disk: channels² × 4 bytes for each input.</source>
        <translation>Summiert auch xᵀx jedes Eingangs und legt es in den Cache: Die Suche nach Skalen und Kappungen (AWQ, SmoothQuant) beginnt dann sofort. Kostet jetzt mehr Zeit und Platz auf der Platte: Kanäle² × 4 Bytes je Eingang.</translation>
    </message>
    <message>
        <source>tokens per expert</source>
        <translation>Tokens je Experte</translation>
    </message>
    <message>
        <source>windows</source>
        <translation>Fenster</translation>
    </message>
    <message>
        <source>documents from</source>
        <translation>Dokumente ab</translation>
    </message>
    <message>
        <source>Choice of calibration windows</source>
        <translation>Auswahl der Kalibrierungsfenster</translation>
    </message>
    <message>
        <source>Weight of a text</source>
        <translation>Gewicht eines Textes</translation>
    </message>
    <message>
        <source>Add calibration texts</source>
        <translation>Kalibrierungstexte hinzufügen</translation>
    </message>
    <message>
        <source>Text (*.txt *.md *.jsonl *.text);;All files (*)</source>
        <translation>Text (*.txt *.md *.jsonl *.text);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Remove a text</source>
        <translation>Text entfernen</translation>
    </message>
    <message>
        <source>share of the windows, by length; %1</source>
        <translation>Anteil der Fenster, nach Länge; %1</translation>
    </message>
    <message>
        <source>share of the windows, by weight; %1</source>
        <translation>Anteil der Fenster, nach Gewicht; %1</translation>
    </message>
    <message>
        <source>auto</source>
        <translation>auto</translation>
    </message>
    <message>
        <source>Weight of %1</source>
        <translation>Gewicht von %1</translation>
    </message>
    <message>
        <source>How many of the windows come from this text, against the others. auto: by length, or 1 beside weights.</source>
        <translation>Wie viele der Fenster aus diesem Text kommen, im Verhältnis zu den anderen. auto: nach Länge, neben Gewichten 1.</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Remove %1</source>
        <translation>%1 entfernen</translation>
    </message>
    <message>
        <source>and %1 more, %2 in all</source>
        <translation>und %1 weitere, insgesamt %2</translation>
    </message>
    <message>
        <source>Drop .txt or .jsonl files anywhere on the window: a few hundred kilobytes of what the model will be used for. Calibrate at the top offers the demo texts.</source>
        <translation>.txt- oder .jsonl-Dateien irgendwo auf das Fenster ziehen: einige Hundert Kilobyte von dem, wofür das Modell gebraucht wird. Kalibrieren oben bietet die Demo-Texte an.</translation>
    </message>
    <message>
        <source>Nothing can be calibrated: %1</source>
        <translation>Kalibrieren geht nicht: %1</translation>
    </message>
    <message>
        <source>1 text</source>
        <translation>1 Text</translation>
    </message>
    <message>
        <source>%1 texts</source>
        <translation>%1 Texte</translation>
    </message>
</context>
<context>
    <name>bw::DiagnosisView</name>
    <message>
        <source>Sites behind the loss</source>
        <translation>Stellen hinter dem Verlust</translation>
    </message>
    <message>
        <source>Find out why</source>
        <translation>Ursache suchen</translation>
    </message>
    <message>
        <source>Measures which sites&apos; original weights win the loss back, and the worst tokens. Nothing is written but the log.</source>
        <translation>Misst, mit welchen Originalgewichten der Verlust zurückgeht, und die schlechtesten Tokens. Geschrieben wird nur ins Protokoll.</translation>
    </message>
    <message>
        <source>%1: putting its original weights back wins %2 of the loss</source>
        <translation>%1: die Originalgewichte holen %2 des Verlusts zurück</translation>
    </message>
    <message>
        <source>Raise this site to %1</source>
        <translation>Diese Stelle auf %1 heben</translation>
    </message>
    <message>
        <source>Raise these %1 to %2</source>
        <translation>Diese %1 auf %2 heben</translation>
    </message>
    <message>
        <source>Takes this run&apos;s mix into the recipe with these sites raised, as one step that can be undone.</source>
        <translation>Übernimmt die Mischung dieses Laufs mit diesen Stellen angehoben ins Rezept, als ein Schritt, der sich zurücknehmen lässt.</translation>
    </message>
    <message>
        <source>Not diagnosed yet: which sites cost this run what it lost, and at which tokens?</source>
        <translation>Noch nicht untersucht: Welche Stellen kosteten diesen Lauf, was er verlor, und bei welchen Tokens?</translation>
    </message>
    <message>
        <source>KL %1 → %2 for %3 more</source>
        <translation>KL %1 → %2 für %3 mehr</translation>
    </message>
</context>
<context>
    <name>bw::DropOverlay</name>
    <message>
        <source>Drop area</source>
        <translation>Ablagefläche</translation>
    </message>
</context>
<context>
    <name>bw::Engine</name>
    <message>
        <source>calibrate</source>
        <translation>kalibrieren</translation>
    </message>
    <message>
        <source>sweep</source>
        <translation>Sweep</translation>
    </message>
    <message>
        <source>assign</source>
        <translation>lösen</translation>
    </message>
    <message>
        <source>quantize</source>
        <translation>quantisieren</translation>
    </message>
    <message>
        <source>evaluate</source>
        <translation>evaluieren</translation>
    </message>
    <message>
        <source>diagnose</source>
        <translation>untersuchen</translation>
    </message>
    <message>
        <source>generate</source>
        <translation>erzeugen</translation>
    </message>
    <message>
        <source>mix</source>
        <translation>Mischung</translation>
    </message>
    <message>
        <source>done</source>
        <translation>fertig</translation>
    </message>
    <message>
        <source>failed</source>
        <translation>gescheitert</translation>
    </message>
    <message>
        <source>running</source>
        <translation>läuft</translation>
    </message>
    <message>
        <source>cancelled</source>
        <translation>abgebrochen</translation>
    </message>
    <message>
        <source>interrupted</source>
        <translation>unterbrochen</translation>
    </message>
    <message>
        <source>The blocks llama.cpp reads as ever, at the same size, but each column makes up for the rounding of those before it, and each site for those before it where there is text enough. Takes minutes where nearest takes seconds.</source>
        <translation>Die Blöcke, die llama.cpp seit je liest, gleich groß, doch jede Spalte gleicht die Rundung der vorigen aus, und jede Stelle die der vorigen, wo genug Text da ist. Dauert Minuten statt Sekunden.</translation>
    </message>
    <message>
        <source>Channels with large activations get finer steps first. The scales are folded into norms and neighbouring weights, so the file stays an ordinary GGUF.</source>
        <translation>Kanäle mit großen Aktivierungen bekommen zuerst feinere Stufen. Die Skalen werden in Normen und benachbarte Gewichte gefaltet, die Datei bleibt eine gewöhnliche GGUF.</translation>
    </message>
    <message>
        <source>What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others.</source>
        <translation>Was llama-quantize mit einer Wichtigkeitsmatrix tut: Sekunden, und ein sicherer Maßstab für die anderen.</translation>
    </message>
    <message>
        <source>What llama-quantize does with an importance matrix: seconds, and a safe yardstick for the others. Metal has kernels for all of its types.</source>
        <translation>Was llama-quantize mit einer Wichtigkeitsmatrix tut: Sekunden, und ein sicherer Maßstab für die anderen. Metal hat Kernel für alle seine Typen.</translation>
    </message>
    <message>
        <source>Loads in vLLM, SGLang and transformers; fast kernels run it at 4 and 8 bits. Symmetric, so that no loader&apos;s zero-point convention matters.</source>
        <translation>Lädt in vLLM, SGLang und transformers; schnelle Kernel rechnen es mit 4 und 8 Bits. Symmetrisch, sodass es auf die Nullpunkt-Konvention des Laders nicht ankommt.</translation>
    </message>
    <message>
        <source>Needs few texts and hardly overfits to them: for models whose use differs from the calibration text.</source>
        <translation>Braucht wenige Texte und wird ihnen kaum überangepasst: für Modelle, deren Einsatz vom Kalibrierungstext abweicht.</translation>
    </message>
    <message>
        <source>Scales first, compensation after: often the least damage at this size.</source>
        <translation>Erst Skalen, dann Ausgleich: oft der kleinste Schaden bei dieser Größe.</translation>
    </message>
    <message>
        <source>No calibration at all: what the others must beat.</source>
        <translation>Ganz ohne Kalibrierung: was die anderen schlagen müssen.</translation>
    </message>
    <message>
        <source>Integer kernels on every card since Turing. Outliers of the activations are moved into the weights first.</source>
        <translation>Ganzzahl-Kernel auf jeder Karte seit Turing. Ausreißer der Aktivierungen wandern zuerst in die Gewichte.</translation>
    </message>
    <message>
        <source>Ada, Hopper and newer. Floats take outliers as they come, so that nothing needs calibrating.</source>
        <translation>Ada, Hopper und neuer. Gleitkommazahlen nehmen Ausreißer, wie sie kommen; nichts muss kalibriert werden.</translation>
    </message>
    <message>
        <source>Channels with outliers stay in 16 bits: the most careful of the three and the slowest to run (bitsandbytes).</source>
        <translation>Kanäle mit Ausreißern bleiben in 16 Bits: das sorgfältigste der drei und das langsamste zur Laufzeit (bitsandbytes).</translation>
    </message>
    <message>
        <source>What llama.cpp&apos;s CPU kernels compute with; practically lossless.</source>
        <translation>Womit die CPU-Kernel von llama.cpp rechnen; praktisch verlustfrei.</translation>
    </message>
    <message>
        <source>A quarter smaller for little more damage.</source>
        <translation>Ein Viertel kleiner für wenig mehr Schaden.</translation>
    </message>
    <message>
        <source>forward</source>
        <translation>vorwärts</translation>
    </message>
    <message>
        <source>backward</source>
        <translation>rückwärts</translation>
    </message>
    <message>
        <source>head</source>
        <translation>Kopf</translation>
    </message>
    <message>
        <source>baseline</source>
        <translation>Original</translation>
    </message>
    <message>
        <source>evaluate baseline</source>
        <translation>Original evaluieren</translation>
    </message>
    <message>
        <source>score</source>
        <translation>bewerten</translation>
    </message>
    <message>
        <source>compare</source>
        <translation>vergleichen</translation>
    </message>
    <message>
        <source>measure</source>
        <translation>messen</translation>
    </message>
    <message>
        <source>count routing</source>
        <translation>Routing zählen</translation>
    </message>
    <message>
        <source>write</source>
        <translation>schreiben</translation>
    </message>
    <message>
        <source>audit</source>
        <translation>nachprüfen</translation>
    </message>
    <message>
        <source>verify</source>
        <translation>nachprüfen</translation>
    </message>
    <message>
        <source>gptq</source>
        <translation>GPTQ</translation>
    </message>
    <message>
        <source>awq</source>
        <translation>AWQ</translation>
    </message>
    <message>
        <source>smooth</source>
        <translation>glätten</translation>
    </message>
    <message>
        <source>clip</source>
        <translation>Kappung</translation>
    </message>
    <message>
        <source>read %1</source>
        <translation>%1 lesen</translation>
    </message>
    <message>
        <source>divergence</source>
        <translation>Divergenz</translation>
    </message>
    <message>
        <source>changed weights</source>
        <translation>geänderte Gewichte</translation>
    </message>
    <message>
        <source>look for weights that are not finite</source>
        <translation>nicht endliche Gewichte suchen</translation>
    </message>
    <message>
        <source>sweep: measured KL</source>
        <translation>Sweep: gemessene KL</translation>
    </message>
    <message>
        <source>sweep: baseline</source>
        <translation>Sweep: Original</translation>
    </message>
    <message>
        <source>sweep: baseline logits</source>
        <translation>Sweep: Logits des Originals</translation>
    </message>
    <message>
        <source>sweep: baseline products</source>
        <translation>Sweep: Produkte des Originals</translation>
    </message>
    <message>
        <source>sweep: the rest quantized</source>
        <translation>Sweep: Rest quantisiert</translation>
    </message>
    <message>
        <source>sweep: output error</source>
        <translation>Sweep: Ausgabefehler</translation>
    </message>
    <message>
        <source>sweep: embedding and head</source>
        <translation>Sweep: Embedding und Kopf</translation>
    </message>
    <message>
        <source>sweep: GPTQ</source>
        <translation>Sweep: GPTQ</translation>
    </message>
    <message>
        <source>sketch: predictions</source>
        <translation>Skizze: Vorhersagen</translation>
    </message>
    <message>
        <source>sketch: backwards</source>
        <translation>Skizze: rückwärts</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>bytes</source>
        <translation>Bytes</translation>
    </message>
    <message>
        <source>cells</source>
        <translation>Zellen</translation>
    </message>
    <message>
        <source>sites</source>
        <translation>Stellen</translation>
    </message>
    <message>
        <source>calibration and evaluation text share %1 of their 13-token sequences</source>
        <translation>Kalibrierungs- und Evaluierungstext teilen %1 ihrer 13-Token-Folgen</translation>
    </message>
    <message>
        <source>figures on this evaluation text flatter</source>
        <translation>Werte auf diesem Evaluierungstext sind geschönt</translation>
    </message>
    <message>
        <source>evaluate on text that shares no passage with the calibration text</source>
        <translation>mit Text evaluieren, der keine Passage mit dem Kalibrierungstext teilt</translation>
    </message>
    <message>
        <source>calibration and evaluation text differ by %1 bit in their letter sequences (up to %2 within one domain)</source>
        <translation>Kalibrierungs- und Evaluierungstext weichen in ihren Buchstabenfolgen um %1 Bit ab (bis %2 innerhalb einer Domäne)</translation>
    </message>
    <message>
        <source>what is fitted to one kind of text serves another badly: prose-calibrated weights lose most on code</source>
        <translation>was an eine Textart angepasst ist, taugt schlecht für eine andere: an Prosa kalibrierte Gewichte verlieren am meisten bei Code</translation>
    </message>
    <message>
        <source>calibrate on text like that which the model will see</source>
        <translation>mit Text kalibrieren, wie ihn das Modell sehen wird</translation>
    </message>
    <message>
        <source>%1 of %2 files were left out</source>
        <translation>%1 von %2 Dateien wurden weggelassen</translation>
    </message>
    <message>
        <source>they take no part in the calibration</source>
        <translation>sie nehmen an der Kalibrierung nicht teil</translation>
    </message>
    <message>
        <source>name text files, or choose files with --include</source>
        <translation>Textdateien nennen oder Dateien mit --include wählen</translation>
    </message>
    <message>
        <source>%1 of %2 texts are shorter than one sample of %3 tokens</source>
        <translation>%1 von %2 Texten sind kürzer als eine Stichprobe von %3 Tokens</translation>
    </message>
    <message>
        <source>use shorter samples or longer texts</source>
        <translation>kürzere Stichproben oder längere Texte nehmen</translation>
    </message>
    <message>
        <source>%1 of %2 calibration samples repeat passages of others</source>
        <translation>%1 von %2 Kalibrierungs-Stichproben wiederholen Passagen anderer</translation>
    </message>
    <message>
        <source>what is said twice counts twice, and the set is smaller than it looks</source>
        <translation>doppelt Gesagtes zählt doppelt, und die Menge ist kleiner, als sie aussieht</translation>
    </message>
    <message>
        <source>add --deduplicate</source>
        <translation>Wiederholungen weglassen (--deduplicate)</translation>
    </message>
    <message>
        <source>only %1 calibration samples</source>
        <translation>nur %1 Kalibrierungs-Stichproben</translation>
    </message>
    <message>
        <source>with fewer than %1, ranges and importances change from draw to draw</source>
        <translation>mit weniger als %1 schwanken Bereiche und Wichtigkeiten von Ziehung zu Ziehung</translation>
    </message>
    <message>
        <source>give more text, or shorter samples where the text is short</source>
        <translation>mehr Text geben, oder kürzere Stichproben, wo der Text kurz ist</translation>
    </message>
    <message>
        <source>%1 calibration samples</source>
        <translation>%1 Kalibrierungs-Stichproben</translation>
    </message>
    <message>
        <source>%1 or more are usual</source>
        <translation>%1 oder mehr sind üblich</translation>
    </message>
    <message>
        <source>give more text</source>
        <translation>mehr Text geben</translation>
    </message>
    <message>
        <source>calibration samples of %1 tokens</source>
        <translation>Kalibrierungs-Stichproben von %1 Tokens</translation>
    </message>
    <message>
        <source>activations late in long texts are not seen (%1 or more are usual)</source>
        <translation>Aktivierungen spät in langen Texten bleiben ungesehen (%1 oder mehr sind üblich)</translation>
    </message>
    <message>
        <source>use longer samples</source>
        <translation>längere Stichproben nehmen</translation>
    </message>
    <message>
        <source>%1 scales of %2 sites are past the largest f16 and were held at 65504 (%3)</source>
        <translation>%1 Skalen von %2 Stellen liegen jenseits des größten f16 und wurden bei 65504 gehalten (%3)</translation>
    </message>
    <message>
        <source>the weights that they belong to come out too small</source>
        <translation>die zugehörigen Gewichte werden zu klein</translation>
    </message>
    <message>
        <source>look for damaged weights there; keep these sites with --set SITE=keep</source>
        <translation>dort nach beschädigten Gewichten suchen; diese Stellen mit --set STELLE=keep behalten</translation>
    </message>
    <message>
        <source>the model and its baseline read &apos;%1&apos; as different tokens, from token %2 on</source>
        <translation>Modell und Original lesen „%1“ als verschiedene Tokens, ab Token %2</translation>
    </message>
    <message>
        <source>a KL between different tokens means nothing</source>
        <translation>eine KL zwischen verschiedenen Tokens sagt nichts</translation>
    </message>
    <message>
        <source>copy the baseline&apos;s tokenizer files beside the model; perplexity and tasks can be measured without a baseline</source>
        <translation>die Tokenizer-Dateien des Originals neben das Modell kopieren; Perplexität und Aufgaben lassen sich ohne Original messen</translation>
    </message>
    <message>
        <source>the model finds the text less likely than guessing: %1 nats per token, %2 for even odds on %3 tokens</source>
        <translation>das Modell hält den Text für unwahrscheinlicher als Raten: %1 Nats je Token, %2 bei Gleichverteilung über %3 Tokens</translation>
    </message>
    <message>
        <source>its weights and its tokens do not belong together, or it is destroyed</source>
        <translation>Gewichte und Tokens gehören nicht zusammen, oder es ist zerstört</translation>
    </message>
    <message>
        <source>check that the tokenizer is the one it was trained with; compare with the original by --base</source>
        <translation>prüfen, ob der Tokenizer der des Trainings ist; mit --base am Original messen</translation>
    </message>
    <message>
        <source>%1 of %2 blocks are more than 10 % off by themselves, block %3 by %4 %</source>
        <translation>%1 von %2 Blöcken weichen für sich um mehr als 10 % ab, Block %3 um %4 %</translation>
    </message>
    <message>
        <source>what follows such a block works on other states than it was trained for; perplexity shows that late</source>
        <translation>was auf einen solchen Block folgt, rechnet mit anderen Zuständen als im Training; die Perplexität zeigt das spät</translation>
    </message>
    <message>
        <source>give the sites of these blocks larger formats; &apos;diagnose&apos; says which of them cost most</source>
        <translation>den Stellen dieser Blöcke größere Formate geben; „Ursache suchen“ sagt, welche am meisten kosten</translation>
    </message>
    <message>
        <source>one number that is none spoils every figure behind it</source>
        <translation>eine Zahl, die keine ist, verdirbt jeden Wert danach</translation>
    </message>
    <message>
        <source>no weight is damaged: look for huge weights there, or for activations that a format can&apos;t hold</source>
        <translation>kein Gewicht ist beschädigt: dort nach riesigen Gewichten suchen, oder nach Aktivierungen, die ein Format nicht fasst</translation>
    </message>
    <message>
        <source>get the file again, or go on with --non-finite zero, which takes such weights as zero</source>
        <translation>die Datei neu holen, oder mit --non-finite zero weitermachen, das solche Gewichte als null nimmt</translation>
    </message>
    <message>
        <source>the stack is not that of run %1; its figures %2</source>
        <translation>die Software ist nicht die von Lauf %1; seine Werte %2</translation>
    </message>
    <message>
        <source>come out again</source>
        <translation>kommen wieder heraus</translation>
    </message>
    <message>
        <source>do not come out again</source>
        <translation>kommen nicht wieder heraus</translation>
    </message>
    <message>
        <source>other programs and processors may round in another order</source>
        <translation>andere Programme und Prozessoren runden womöglich in anderer Reihenfolge</translation>
    </message>
    <message>
        <source>figures from before and after can&apos;t be compared</source>
        <translation>Werte von vorher und nachher sind nicht vergleichbar</translation>
    </message>
    <message>
        <source>nothing to do</source>
        <translation>nichts zu tun</translation>
    </message>
    <message>
        <source>revalidate the runs you rely on, and compare only runs of one stack</source>
        <translation>wichtige Läufe neu validieren und nur Läufe derselben Software vergleichen</translation>
    </message>
    <message>
        <source>on the evaluation text the KL is %1, %2 by plain nearest rounding (difference %3), although the error on the calibration text is %4 % of nearest&apos;s</source>
        <translation>auf dem Evaluierungstext ist die KL %1, bei einfachem Runden %2 (Differenz %3), obwohl der Fehler auf dem Kalibrierungstext %4 % des einfachen beträgt</translation>
    </message>
    <message>
        <source>on the evaluation text the KL is %1, %2 by plain nearest rounding (difference %3)</source>
        <translation>auf dem Evaluierungstext ist die KL %1, bei einfachem Runden %2 (Differenz %3)</translation>
    </message>
    <message>
        <source>the weights were fitted to the calibration text, not to the model&apos;s use: more of that fitting makes it worse</source>
        <translation>die Gewichte wurden an den Kalibrierungstext angepasst, nicht an den Einsatz: mehr davon macht es schlechter</translation>
    </message>
    <message>
        <source>calibrate on more text, and on text like that which the model will see; raise --damping, lower --sweeps, or use plain rounding</source>
        <translation>mit mehr Text kalibrieren, und mit solchem, wie ihn das Modell sehen wird; --damping erhöhen, --sweeps senken, oder einfach runden</translation>
    </message>
    <message>
        <source>evaluated on different texts</source>
        <translation>an verschiedenen Texten evaluiert</translation>
    </message>
    <message>
        <source>not both are finished: %1 and %2</source>
        <translation>nicht beide sind fertig: %1 und %2</translation>
    </message>
    <message>
        <source>protocol: %1 against %2</source>
        <translation>Protokoll: %1 gegen %2</translation>
    </message>
    <message>
        <source>runtime: %1 against %2</source>
        <translation>Laufzeit: %1 gegen %2</translation>
    </message>
    <message>
        <source>evaluation tokens: %1 against %2</source>
        <translation>Evaluierungs-Tokens: %1 gegen %2</translation>
    </message>
    <message>
        <source>baseline of the KL: %1 against %2</source>
        <translation>Original der KL: %1 gegen %2</translation>
    </message>
    <message>
        <source>weights of the baseline: %1 against %2</source>
        <translation>Gewichte des Originals: %1 gegen %2</translation>
    </message>
    <message>
        <source>program: %1 against %2</source>
        <translation>Programm: %1 gegen %2</translation>
    </message>
    <message>
        <source>device: %1 against %2</source>
        <translation>Gerät: %1 gegen %2</translation>
    </message>
    <message>
        <source>CPU: %1 against %2</source>
        <translation>CPU: %1 gegen %2</translation>
    </message>
    <message>
        <source>figures by token can&apos;t be compared: %1</source>
        <translation>Werte je Token sind nicht vergleichbar: %1</translation>
    </message>
    <message>
        <source>The budget</source>
        <translation>Das Budget</translation>
    </message>
    <message>
        <source>nats</source>
        <translation>Nats</translation>
    </message>
    <message>
        <source>%1 has %2 left: its items have what costs least, more bytes buy nothing.</source>
        <translation>%1 lässt %2 frei: Seine Stellen haben, was am wenigsten kostet, mehr Bytes bringen nichts.</translation>
    </message>
    <message>
        <source>%1 has %2 left; the smallest upgrade, %3 to %4, takes %5.</source>
        <translation>%1 lässt %2 frei; die kleinste Aufwertung, %3 auf %4, braucht %5.</translation>
    </message>
    <message>
        <source>%1 has %2 left; what still fits there is held back by another limit.</source>
        <translation>%1 lässt %2 frei; was dort noch passt, hält eine andere Grenze zurück.</translation>
    </message>
    <message>
        <source>One more megabyte would buy about −%1 %2.</source>
        <translation>Ein Megabyte mehr brächte etwa −%1 %2.</translation>
    </message>
    <message>
        <source>No other mix within it costs less.</source>
        <translation>Keine andere Mischung darin kostet weniger.</translation>
    </message>
    <message>
        <source>A mix that costs up to %1 % less is not ruled out.</source>
        <translation>Eine Mischung, die bis zu %1 % weniger kostet, ist nicht ausgeschlossen.</translation>
    </message>
    <message>
        <source>%1 costs %2 with %3, but %4 with %5, which takes %6 less</source>
        <translation>%1 kostet %2 mit %3, aber %4 mit %5, das %6 weniger braucht</translation>
    </message>
    <message>
        <source>%1 keeps the embedding table as it is</source>
        <translation>%1 lässt die Embedding-Tabelle, wie sie ist</translation>
    </message>
    <message>
        <source>%1 has no %2; %3 is nearest</source>
        <translation>%1 hat kein %2; %3 liegt am nächsten</translation>
    </message>
    <message>
        <source>%1 does not divide %2</source>
        <translation>%1 teilt %2 nicht</translation>
    </message>
    <message>
        <source>%1: sizes are those of the tensors alone</source>
        <translation>%1: Größen sind die der Tensoren allein</translation>
    </message>
    <message>
        <source>no container</source>
        <translation>kein Container</translation>
    </message>
</context>
<context>
    <name>bw::ErrorDialog</name>
    <message>
        <source>Details of the error</source>
        <translation>Einzelheiten des Fehlers</translation>
    </message>
    <message>
        <source>Copy details</source>
        <translation>Einzelheiten kopieren</translation>
    </message>
    <message>
        <source>Details</source>
        <translation>Einzelheiten</translation>
    </message>
</context>
<context>
    <name>bw::EvidencePanel</name>
    <message>
        <source>Only quantized or evaluated runs can be diagnosed.</source>
        <translation>Nur quantisierte oder evaluierte Läufe lassen sich untersuchen.</translation>
    </message>
    <message>
        <source>This run was not held against its original: evaluate it with a baseline first.</source>
        <translation>Dieser Lauf wurde nicht am Original gemessen: zuerst mit dem Original evaluieren.</translation>
    </message>
    <message>
        <source>Evidence</source>
        <translation>Belege</translation>
    </message>
    <message>
        <source>Text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>Outputs</source>
        <translation>Ausgaben</translation>
    </message>
    <message>
        <source>Cause</source>
        <translation>Ursache</translation>
    </message>
    <message>
        <source>Warnings</source>
        <translation>Warnungen</translation>
    </message>
    <message>
        <source>Tokens coloured where one run moved further from the original</source>
        <translation>Tokens gefärbt, wo ein Lauf weiter vom Original abweicht</translation>
    </message>
    <message>
        <source>What the original and the runs write to the same prompts</source>
        <translation>Was Original und Läufe zu denselben Prompts schreiben</translation>
    </message>
    <message>
        <source>Which sites cost what was lost</source>
        <translation>Welche Stellen kosteten, was verloren ging</translation>
    </message>
    <message>
        <source>Neither run raised a warning.</source>
        <translation>Keiner der Läufe gab eine Warnung.</translation>
    </message>
    <message>
        <source>Outputs (%1)</source>
        <translation>Ausgaben (%1)</translation>
    </message>
    <message>
        <source>Warnings (%1)</source>
        <translation>Warnungen (%1)</translation>
    </message>
    <message>
        <source>%1 caused by %2</source>
        <translation>%1 verursacht durch %2</translation>
    </message>
    <message>
        <source>Open %1 first: the mix is of its sites.</source>
        <translation>Erst %1 öffnen: Die Mischung gilt für dessen Stellen.</translation>
    </message>
    <message>
        <source>Mix of run %1 with %2 in %3</source>
        <translation>Mischung von Lauf %1 mit %2 in %3</translation>
    </message>
    <message>
        <source>The recipe has the mix of run %1 with %2 in %3. Ctrl+Z takes it back.</source>
        <translation>Das Rezept hat die Mischung von Lauf %1 mit %2 in %3. Strg+Z nimmt es zurück.</translation>
    </message>
</context>
<context>
    <name>bw::ExpertPanel</name>
    <message>
        <source>Experts</source>
        <translation>Experten</translation>
    </message>
    <message>
        <source>Calibration tokens of each expert</source>
        <translation>Kalibrierungs-Tokens jedes Experten</translation>
    </message>
    <message>
        <source>tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>%1 saw no token: sample balanced, or more</source>
        <translation>%1 sah kein Token: ausgewogen auswählen, oder mehr</translation>
    </message>
    <message>
        <source>the least saw %1 tokens</source>
        <translation>der seltenste sah %1 Tokens</translation>
    </message>
</context>
<context>
    <name>bw::FairnessBadge</name>
    <message>
        <source>✓ fair comparison</source>
        <translation>✓ fairer Vergleich</translation>
    </message>
    <message>
        <source>▲ not a fair comparison</source>
        <translation>▲ kein fairer Vergleich</translation>
    </message>
    <message>
        <source>same text, settings, baseline, stack</source>
        <translation>Text, Einstellungen, Original, Software gleich</translation>
    </message>
</context>
<context>
    <name>bw::FormatChips</name>
    <message>
        <source>%1 bits: %2</source>
        <translation>%1 Bits: %2</translation>
    </message>
    <message>
        <source>%1 bits: %2
Press, then click or drag over cells to paint. Key %3 sets the selected cell.
Right click chooses another format of these bits.</source>
        <translation>%1 Bits: %2
Drücken, dann Zellen anklicken oder überstreichen. Taste %3 setzt die gewählte Zelle.
Rechtsklick wählt ein anderes Format dieser Bitzahl.</translation>
    </message>
    <message>
        <source>
This format is not in the map, so its damage is not known.</source>
        <translation>
Dieses Format steht nicht in der Karte, sein Schaden ist unbekannt.</translation>
    </message>
</context>
<context>
    <name>bw::HeatmapPlot</name>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
    <message>
        <source>Heat map</source>
        <translation>Heatmap</translation>
    </message>
    <message>
        <source>%1 rows by %2 columns, values from %3 to %4</source>
        <translation>%1 Zeilen mal %2 Spalten, Werte von %3 bis %4</translation>
    </message>
    <message>
        <source>%1 log</source>
        <translation>%1 log</translation>
    </message>
    <message>
        <source>no value</source>
        <translation>kein Wert</translation>
    </message>
    <message>
        <source>%1 · %2
%3</source>
        <translation>%1 · %2
%3</translation>
    </message>
</context>
<context>
    <name>bw::HelpWindow</name>
    <message>
        <source>Bitwright manual</source>
        <translation>Bitwright-Handbuch</translation>
    </message>
    <message>
        <source>Contents</source>
        <translation>Inhalt</translation>
    </message>
    <message>
        <source>Page</source>
        <translation>Seite</translation>
    </message>
    <message>
        <source>Navigation</source>
        <translation>Navigation</translation>
    </message>
    <message>
        <source>Back (Alt+Left)</source>
        <translation>Zurück (Alt+Links)</translation>
    </message>
    <message>
        <source>Forward (Alt+Right)</source>
        <translation>Vor (Alt+Rechts)</translation>
    </message>
    <message>
        <source>Search the manual</source>
        <translation>Handbuch durchsuchen</translation>
    </message>
    <message>
        <source>not found</source>
        <translation>nicht gefunden</translation>
    </message>
    <message>
        <source>The manual is not installed: there is no folder help in the program&apos;s resources.</source>
        <translation>Das Handbuch ist nicht installiert: In den Ressourcen des Programms fehlt der Ordner help.</translation>
    </message>
    <message>
        <source>%1 here</source>
        <translation>%1 hier</translation>
    </message>
</context>
<context>
    <name>bw::HistogramPlot</name>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
    <message>
        <source>Histogram</source>
        <translation>Histogramm</translation>
    </message>
    <message>
        <source>%1 below</source>
        <translation>%1 darunter</translation>
    </message>
    <message>
        <source>%1 above</source>
        <translation>%1 darüber</translation>
    </message>
    <message>
        <source>%1 NaN</source>
        <translation>%1 NaN</translation>
    </message>
    <message>
        <source>%1 infinite</source>
        <translation>%1 unendlich</translation>
    </message>
    <message>
        <source>values from %1 to %2</source>
        <translation>Werte von %1 bis %2</translation>
    </message>
    <message>
        <source>%1 … %2
%3 values</source>
        <translation>%1 … %2
%3 Werte</translation>
    </message>
</context>
<context>
    <name>bw::Inspector</name>
    <message>
        <source>Inspector</source>
        <translation>Inspektor</translation>
    </message>
    <message>
        <source>format</source>
        <translation>Format</translation>
    </message>
    <message>
        <source>bytes</source>
        <translation>Bytes</translation>
    </message>
    <message>
        <source>KL, measured</source>
        <translation>KL, gemessen</translation>
    </message>
    <message>
        <source>KL, Fisher</source>
        <translation>KL, Fisher</translation>
    </message>
    <message>
        <source>output error</source>
        <translation>Ausgabefehler</translation>
    </message>
    <message>
        <source>weight error</source>
        <translation>Gewichtsfehler</translation>
    </message>
    <message>
        <source>outlier share</source>
        <translation>Ausreißeranteil</translation>
    </message>
    <message>
        <source>kurtosis</source>
        <translation>Kurtosis</translation>
    </message>
    <message>
        <source>‖W − Ŵ‖² / ‖W‖² at this format, nearest rounding</source>
        <translation>‖W − Ŵ‖² / ‖W‖² in diesem Format, zum Nächsten gerundet</translation>
    </message>
    <message>
        <source>share of weights beyond six standard deviations</source>
        <translation>Anteil der Gewichte jenseits von sechs Standardabweichungen</translation>
    </message>
    <message>
        <source>Weights and grid</source>
        <translation>Gewichte und Gitter</translation>
    </message>
    <message>
        <source>Cost of each format</source>
        <translation>Kosten je Format</translation>
    </message>
    <message>
        <source>Inputs (calibration)</source>
        <translation>Eingänge (Kalibrierung)</translation>
    </message>
    <message>
        <source>Largest input of each channel</source>
        <translation>Größter Eingang je Kanal</translation>
    </message>
    <message>
        <source>Open histogram</source>
        <translation>Histogramm öffnen</translation>
    </message>
    <message>
        <source>Show activations</source>
        <translation>Aktivierungen zeigen</translation>
    </message>
    <message>
        <source>Show in the mix</source>
        <translation>In der Mischung zeigen</translation>
    </message>
    <message>
        <source>Nothing selected</source>
        <translation>Nichts gewählt</translation>
    </message>
    <message>
        <source>Select a site in any workspace to see its weights, errors and inputs.</source>
        <translation>Eine gewählte Stelle zeigt hier ihre Gewichte, Fehler und Eingänge.</translation>
    </message>
    <message>
        <source>Open a checkpoint to look at its sites.</source>
        <translation>Öffnen Sie einen Checkpoint, um seine Stellen zu sehen.</translation>
    </message>
    <message>
        <source> · shares input with %1</source>
        <translation> · gleicher Eingang wie %1</translation>
    </message>
    <message>
        <source>pinned</source>
        <translation>fixiert</translation>
    </message>
    <message>
        <source>%1 does not fit this shape</source>
        <translation>%1 passt nicht zu dieser Form</translation>
    </message>
    <message>
        <source>reading…</source>
        <translation>liest …</translation>
    </message>
    <message>
        <source>max |w| %1 · %2 levels</source>
        <translation>max |w| %1 · %2 Stufen</translation>
    </message>
    <message>
        <source>this format was not tried at this site</source>
        <translation>dieses Format wurde hier nicht probiert</translation>
    </message>
    <message>
        <source>%1; scaled from the output error, not measured</source>
        <translation>%1; aus dem Ausgabefehler skaliert, nicht gemessen</translation>
    </message>
    <message>
        <source>%1 is doubtful: %2</source>
        <translation>%1 ist fraglich: %2</translation>
    </message>
    <message>
        <source>KL to the original, nats per token, this site alone quantized</source>
        <translation>KL zum Original, Nats je Token, nur diese Stelle quantisiert</translation>
    </message>
    <message>
        <source>the same, estimated from gradients, nats per token</source>
        <translation>dasselbe, aus Gradienten geschätzt, Nats je Token</translation>
    </message>
    <message>
        <source>relative squared error of this site&apos;s output</source>
        <translation>relativer quadratischer Fehler der Ausgabe dieser Stelle</translation>
    </message>
    <message>
        <source>KL of each format</source>
        <translation>KL je Format</translation>
    </message>
    <message>
        <source>Output error of each format</source>
        <translation>Ausgabefehler je Format</translation>
    </message>
    <message>
        <source>nats per token, this site alone</source>
        <translation>Nats je Token, nur diese Stelle</translation>
    </message>
    <message>
        <source>max |x| · %1</source>
        <translation>max |x| · %1</translation>
    </message>
    <message>
        <source>1 outlier channel</source>
        <translation>1 Ausreißerkanal</translation>
    </message>
    <message>
        <source>%1 outlier channels</source>
        <translation>%1 Ausreißerkanäle</translation>
    </message>
</context>
<context>
    <name>bw::JobStrip</name>
    <message>
        <source>Progress of the job</source>
        <translation>Fortschritt des Auftrags</translation>
    </message>
    <message>
        <source>Pause</source>
        <translation>Anhalten</translation>
    </message>
    <message>
        <source>Cancel the job</source>
        <translation>Auftrag abbrechen</translation>
    </message>
    <message>
        <source>log: %1</source>
        <translation>Protokoll: %1</translation>
    </message>
    <message>
        <source>1 thread</source>
        <translation>1 Thread</translation>
    </message>
    <message>
        <source>%1 threads</source>
        <translation>%1 Threads</translation>
    </message>
    <message>
        <source>CPU · %1 · %2</source>
        <translation>CPU · %1 · %2</translation>
    </message>
    <message>
        <source>%1 · %2</source>
        <translation>%1 · %2</translation>
    </message>
    <message>
        <source>Jobs compute on this device.</source>
        <translation>Aufträge rechnen auf diesem Gerät.</translation>
    </message>
    <message>
        <source>%1 Click for the settings.</source>
        <translation>%1 Klicken öffnet die Einstellungen.</translation>
    </message>
    <message>
        <source>Device of jobs: %1</source>
        <translation>Gerät der Aufträge: %1</translation>
    </message>
    <message>
        <source>memory %1 / %2 GiB</source>
        <translation>Speicher %1 / %2 GiB</translation>
    </message>
    <message>
        <source>Opening…</source>
        <translation>Öffnet …</translation>
    </message>
    <message>
        <source>Ready</source>
        <translation>Bereit</translation>
    </message>
    <message>
        <source>%1 (+%2 waiting)</source>
        <translation>%1 (+%2 wartend)</translation>
    </message>
    <message>
        <source>%1 %</source>
        <translation>%1 %</translation>
    </message>
    <message>
        <source>paused</source>
        <translation>angehalten</translation>
    </message>
    <message>
        <source>%1 left</source>
        <translation>noch %1</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>Weiter</translation>
    </message>
</context>
<context>
    <name>bw::KlHistogram</name>
    <message>
        <source>Tokens by their KL</source>
        <translation>Tokens nach ihrer KL</translation>
    </message>
    <message>
        <source>KL, nats</source>
        <translation>KL, Nats</translation>
    </message>
    <message>
        <source>% of tokens</source>
        <translation>% der Tokens</translation>
    </message>
    <message>
        <source>Neither run was scored against a baseline.</source>
        <translation>Keiner der Läufe wurde am Original gemessen.</translation>
    </message>
    <message>
        <source>KL %1 … %2: %3 of the tokens</source>
        <translation>KL %1 … %2: %3 der Tokens</translation>
    </message>
</context>
<context>
    <name>bw::Launcher</name>
    <message>
        <source>The window changes its language once nothing is being computed or opened.</source>
        <translation>Das Fenster wechselt die Sprache, sobald nichts mehr berechnet oder geöffnet wird.</translation>
    </message>
</context>
<context>
    <name>bw::MainWindow</name>
    <message>
        <source>Bitwright</source>
        <translation>Bitwright</translation>
    </message>
    <message>
        <source>Inspector</source>
        <translation>Inspektor</translation>
    </message>
    <message>
        <source>Messages</source>
        <translation>Meldungen</translation>
    </message>
    <message>
        <source>%1 – Bitwright</source>
        <translation>%1 – Bitwright</translation>
    </message>
    <message>
        <source>%1 was stopped. What is finished is kept; it can go on from there.</source>
        <translation>%1 wurde gestoppt. Was fertig ist, bleibt; von dort geht es weiter.</translation>
    </message>
    <message>
        <source>Go on</source>
        <translation>Weiter</translation>
    </message>
    <message>
        <source>Cancelled. What was finished is in the log.</source>
        <translation>Abgebrochen. Was fertig war, steht im Protokoll.</translation>
    </message>
    <message>
        <source>The job failed</source>
        <translation>Der Auftrag schlug fehl</translation>
    </message>
    <message>
        <source>Run %1 is done.</source>
        <translation>Lauf %1 ist fertig.</translation>
    </message>
    <message>
        <source>Calibrate</source>
        <translation>Kalibrieren</translation>
    </message>
    <message>
        <source>Evaluate</source>
        <translation>Evaluieren</translation>
    </message>
    <message>
        <source>Quantize</source>
        <translation>Quantisieren</translation>
    </message>
    <message>
        <source>Collect statistics of every site&apos;s inputs (Ctrl+R)</source>
        <translation>Statistik der Eingänge jeder Stelle sammeln (Strg+R)</translation>
    </message>
    <message>
        <source>Measure perplexity and KL of the open checkpoint (Ctrl+R)</source>
        <translation>Perplexität und KL des offenen Checkpoints messen (Strg+R)</translation>
    </message>
    <message>
        <source>Plan, then write the quantized checkpoint (Ctrl+R)</source>
        <translation>Planen, dann den quantisierten Checkpoint schreiben (Strg+R)</translation>
    </message>
    <message>
        <source>The last checkpoint is not there any more: %1</source>
        <translation>Der letzte Checkpoint ist nicht mehr da: %1</translation>
    </message>
    <message>
        <source>Forget it</source>
        <translation>Vergessen</translation>
    </message>
    <message>
        <source>Not finished when the program ended: %1. What was done is in the log.</source>
        <translation>Beim Programmende nicht fertig: %1. Das Erledigte steht im Protokoll.</translation>
    </message>
    <message>
        <source>Continue</source>
        <translation>Fortsetzen</translation>
    </message>
    <message>
        <source>The whole road leads to a first result: it calibrates, measures every layer, solves a mix, writes it and compares it.</source>
        <translation>Der ganze Weg führt zum ersten Ergebnis: kalibrieren, jede Schicht messen, Mischung lösen, schreiben, vergleichen.</translation>
    </message>
    <message>
        <source>Start…</source>
        <translation>Starten …</translation>
    </message>
    <message>
        <source>The recipe is as it was when the program ended, with %1 steps that can be undone.</source>
        <translation>Das Rezept ist wie beim Programmende, mit %1 Schritten, die sich zurücknehmen lassen.</translation>
    </message>
    <message>
        <source>The program crashed at its last run. What is known of it is in %1; nothing was sent anywhere.</source>
        <translation>Das Programm stürzte zuletzt ab. Was davon bekannt ist, steht in %1; nichts wurde verschickt.</translation>
    </message>
    <message>
        <source>Show</source>
        <translation>Zeigen</translation>
    </message>
    <message>
        <source>The last run crashed</source>
        <translation>Der letzte Programmlauf stürzte ab</translation>
    </message>
    <message>
        <source>Please report it with these details and what you were doing.</source>
        <translation>Bitte melden Sie das mit diesen Einzelheiten und dem, was Sie gerade taten.</translation>
    </message>
    <message>
        <source>The mix is done: %1 measures KL %2 nats per token against the original.</source>
        <translation>Die Mischung ist fertig: %1 misst KL %2 Nats je Token gegen das Original.</translation>
    </message>
    <message>
        <source>The mix is done: %1 measures KL %2 nats per token against the original. It is written to %3 and was read back.</source>
        <translation>Die Mischung ist fertig: %1 misst KL %2 Nats je Token gegen das Original. Sie steht in %3 und wurde zurückgelesen.</translation>
    </message>
    <message>
        <source>Show the proof</source>
        <translation>Beleg zeigen</translation>
    </message>
    <message>
        <source>Open a log…</source>
        <translation>Protokoll öffnen …</translation>
    </message>
    <message>
        <source>Another window has this log open (process %1). Both can run jobs; what is open and selected is kept for that one only.</source>
        <translation>Ein anderes Fenster hat dieses Protokoll offen (Prozess %1). Beide können Aufträge ausführen; gemerkt wird nur, was dort offen und gewählt ist.</translation>
    </message>
    <message>
        <source>Nothing can be written to %1: the window&apos;s layout and recent files are not kept.</source>
        <translation>In %1 lässt sich nichts schreiben: Fensteraufteilung und letzte Dateien werden nicht gemerkt.</translation>
    </message>
    <message>
        <source>%1 was asked for and can&apos;t be used, so jobs compute on the processor. The reason: %2</source>
        <translation>%1 war gewünscht, ist aber nicht nutzbar; Aufträge rechnen auf dem Prozessor. Der Grund: %2</translation>
    </message>
    <message>
        <source>Settings…</source>
        <translation>Einstellungen …</translation>
    </message>
    <message>
        <source>The device %1 failed. The job goes on on the processor, and so will those after it; nothing is lost. What is known: %2</source>
        <translation>Das Gerät %1 fiel aus. Der Auftrag läuft auf dem Prozessor weiter, ebenso die folgenden; nichts ging verloren. Bekannt ist: %2</translation>
    </message>
    <message>
        <source>Try the device again</source>
        <translation>Gerät erneut versuchen</translation>
    </message>
    <message>
        <source>Drop to open %1</source>
        <translation>Ablegen öffnet %1</translation>
    </message>
    <message>
        <source>Drop %1 files</source>
        <translation>%1 Dateien ablegen</translation>
    </message>
    <message>
        <source>A job is running</source>
        <translation>Ein Auftrag läuft</translation>
    </message>
    <message>
        <source>%1 is running. If you close now it stops, what is finished stays in the log, and it goes on at the next start.</source>
        <translation>%1 läuft. Beim Schließen stoppt er, Fertiges bleibt im Protokoll, und beim nächsten Start geht er weiter.</translation>
    </message>
    <message>
        <source>%1 is running. If you close now it stops; what is finished stays in the log.</source>
        <translation>%1 läuft. Beim Schließen stoppt er; Fertiges bleibt im Protokoll.</translation>
    </message>
    <message>
        <source>Stop and close</source>
        <translation>Stoppen und schließen</translation>
    </message>
    <message>
        <source>Keep running</source>
        <translation>Weiterlaufen lassen</translation>
    </message>
    <message>
        <source>Go to %1</source>
        <translation>Zu %1</translation>
    </message>
    <message>
        <source>Command palette</source>
        <translation>Befehlspalette</translation>
    </message>
    <message>
        <source>Calibrate: statistics of every input</source>
        <translation>Kalibrieren: Statistik jedes Eingangs</translation>
    </message>
    <message>
        <source>Map: what every site costs in every format</source>
        <translation>Karte: was jede Stelle in jedem Format kostet</translation>
    </message>
    <message>
        <source>Quantize: write the checkpoint…</source>
        <translation>Quantisieren: Checkpoint schreiben …</translation>
    </message>
    <message>
        <source>Evaluate: perplexity of the checkpoint</source>
        <translation>Evaluieren: Perplexität des Checkpoints</translation>
    </message>
    <message>
        <source>The whole road: calibrate, measure, mix, quantize, compare…</source>
        <translation>Der ganze Weg: kalibrieren, messen, mischen, quantisieren, vergleichen …</translation>
    </message>
    <message>
        <source>Open checkpoint folder…</source>
        <translation>Checkpoint-Ordner öffnen …</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>Datei öffnen …</translation>
    </message>
    <message>
        <source>Try the demo model</source>
        <translation>Demo-Modell probieren</translation>
    </message>
    <message>
        <source>Open recipe…</source>
        <translation>Rezept öffnen …</translation>
    </message>
    <message>
        <source>Save recipe as…</source>
        <translation>Rezept speichern unter …</translation>
    </message>
    <message>
        <source>Open or create a log…</source>
        <translation>Protokoll öffnen oder anlegen …</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>Farbschema</translation>
    </message>
    <message>
        <source>Theme: as the system</source>
        <translation>Farbschema: wie das System</translation>
    </message>
    <message>
        <source>Theme: dark</source>
        <translation>Farbschema: dunkel</translation>
    </message>
    <message>
        <source>Theme: light</source>
        <translation>Farbschema: hell</translation>
    </message>
    <message>
        <source>Manual</source>
        <translation>Handbuch (englisch)</translation>
    </message>
    <message>
        <source>About Bitwright</source>
        <translation>Über Bitwright</translation>
    </message>
    <message>
        <source>Quit</source>
        <translation>Beenden</translation>
    </message>
    <message>
        <source>Run</source>
        <translation>Ausführen</translation>
    </message>
    <message>
        <source>Open checkpoint folder</source>
        <translation>Checkpoint-Ordner öffnen</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Everything that is read here (*.gguf *.safetensors *.index.json *.txt *.jsonl *.md *.json *.db);;All files (*)</source>
        <translation>Alles, was hier gelesen wird (*.gguf *.safetensors *.index.json *.txt *.jsonl *.md *.json *.db);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Add evaluation text</source>
        <translation>Evaluierungstext hinzufügen</translation>
    </message>
    <message>
        <source>Add calibration text</source>
        <translation>Kalibrierungstext hinzufügen</translation>
    </message>
    <message>
        <source>Text (*.txt *.md *.jsonl *.text);;All files (*)</source>
        <translation>Text (*.txt *.md *.jsonl *.text);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Open recipe</source>
        <translation>Rezept öffnen</translation>
    </message>
    <message>
        <source>Recipes (*.json)</source>
        <translation>Rezepte (*.json)</translation>
    </message>
    <message>
        <source>Save recipe</source>
        <translation>Rezept speichern</translation>
    </message>
    <message>
        <source>The recipe could not be saved</source>
        <translation>Das Rezept ließ sich nicht speichern</translation>
    </message>
    <message>
        <source>Open or create a log</source>
        <translation>Protokoll öffnen oder anlegen</translation>
    </message>
    <message>
        <source>Experiment logs (*.db);;All files (*)</source>
        <translation>Versuchsprotokolle (*.db);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>Write report</source>
        <translation>Bericht schreiben</translation>
    </message>
    <message>
        <source>HTML page (*.html)</source>
        <translation>HTML-Seite (*.html)</translation>
    </message>
    <message>
        <source>site</source>
        <translation>Stelle</translation>
    </message>
    <message>
        <source>Bitwright %1
A workbench for quantizing language models.

Free software under the GNU General Public License, version 3 or later, without any warranty. Nothing leaves this computer.</source>
        <translation>Bitwright %1
Eine Werkbank zum Quantisieren von Sprachmodellen.

Freie Software unter der GNU General Public License, Version 3 oder später, ohne jede Gewährleistung. Nichts verlässt diesen Rechner.</translation>
    </message>
    <message>
        <source>This needs calibration texts, a few hundred kilobytes of what the model will be used for, and other texts to judge the result on.</source>
        <translation>Nötig sind Kalibrierungstexte, einige Hundert Kilobyte von dem, wofür das Modell gebraucht wird, und andere Texte, um das Ergebnis zu beurteilen.</translation>
    </message>
    <message>
        <source>Evaluating needs a text that was not used for calibration.</source>
        <translation>Zum Evaluieren ist ein Text nötig, mit dem nicht kalibriert wurde.</translation>
    </message>
    <message>
        <source>This needs calibration texts: a few hundred kilobytes of what the model will be used for.</source>
        <translation>Nötig sind Kalibrierungstexte: einige Hundert Kilobyte von dem, wofür das Modell gebraucht wird.</translation>
    </message>
    <message>
        <source>A text is needed</source>
        <translation>Ein Text ist nötig</translation>
    </message>
    <message>
        <source>Choose files…</source>
        <translation>Dateien wählen …</translation>
    </message>
    <message>
        <source>Use the demo texts</source>
        <translation>Demo-Texte nehmen</translation>
    </message>
    <message>
        <source>Write the quantized checkpoint to</source>
        <translation>Quantisierten Checkpoint schreiben nach</translation>
    </message>
    <message>
        <source>GGUF file (*.gguf);;safetensors folder (*)</source>
        <translation>GGUF-Datei (*.gguf);;safetensors-Ordner (*)</translation>
    </message>
    <message>
        <source>Open a checkpoint first.</source>
        <translation>Erst einen Checkpoint öffnen.</translation>
    </message>
    <message>
        <source>Planning…</source>
        <translation>Plant …</translation>
    </message>
    <message>
        <source>This can&apos;t be quantized</source>
        <translation>Das lässt sich nicht quantisieren</translation>
    </message>
    <message>
        <source>mix · the whole road</source>
        <translation>Mischung · der ganze Weg</translation>
    </message>
    <message>
        <source>Copied: %1</source>
        <translation>Kopiert: %1</translation>
    </message>
    <message>
        <source>Ignored: %1</source>
        <translation>Übergangen: %1</translation>
    </message>
    <message>
        <source>Not everything was taken</source>
        <translation>Nicht alles wurde angenommen</translation>
    </message>
    <message>
        <source>These were left out:

%1</source>
        <translation>Weggelassen wurde:

%1</translation>
    </message>
</context>
<context>
    <name>bw::MethodGuide</name>
    <message>
        <source>Which method?</source>
        <translation>Welches Verfahren?</translation>
    </message>
    <message>
        <source>Try all</source>
        <translation>Alle probieren</translation>
    </message>
    <message>
        <source>Method guide</source>
        <translation>Verfahrensberater</translation>
    </message>
    <message>
        <source>Where the model will run</source>
        <translation>Wo das Modell laufen wird</translation>
    </message>
    <message>
        <source>llama.cpp, CPU</source>
        <translation>llama.cpp, CPU</translation>
    </message>
    <message>
        <source>vLLM, NVIDIA</source>
        <translation>vLLM, NVIDIA</translation>
    </message>
    <message>
        <source>llama.cpp, Apple</source>
        <translation>llama.cpp, Apple</translation>
    </message>
    <message>
        <source>What is rounded</source>
        <translation>Was gerundet wird</translation>
    </message>
    <message>
        <source>weights only</source>
        <translation>nur Gewichte</translation>
    </message>
    <message>
        <source>weights and inputs</source>
        <translation>Gewichte und Eingänge</translation>
    </message>
    <message>
        <source>Runs every proposal on your texts, as one job that can be stopped and gone on with;
the table below ranks them as they finish</source>
        <translation>Führt jeden Vorschlag mit Ihren Texten aus, als ein Auftrag, der sich stoppen und fortsetzen lässt;
die Tabelle darunter ordnet sie, sobald sie fertig sind</translation>
    </message>
    <message>
        <source>Open a checkpoint first.</source>
        <translation>Erst einen Checkpoint öffnen.</translation>
    </message>
    <message>
        <source>%1: rounding can be done, but not judged.</source>
        <translation>%1: Runden geht, beurteilen nicht.</translation>
    </message>
    <message>
        <source>To rank them, add an evaluation text (Data ▾).</source>
        <translation>Zum Ordnen einen Evaluierungstext hinzufügen (Daten ▾).</translation>
    </message>
    <message>
        <source>They look at calibration text: add some (Data ▾).</source>
        <translation>Sie brauchen Kalibrierungstext: welchen hinzufügen (Daten ▾).</translation>
    </message>
    <message>
        <source>%1 bits</source>
        <translation>%1 Bits</translation>
    </message>
    <message>
        <source>bits per weight of the sites, scales included</source>
        <translation>Bits je Gewicht der Stellen, mit Skalen</translation>
    </message>
    <message>
        <source>Use</source>
        <translation>Nehmen</translation>
    </message>
    <message>
        <source>Use %1</source>
        <translation>%1 nehmen</translation>
    </message>
    <message>
        <source>Takes formats and method into the recipe; can be undone</source>
        <translation>Übernimmt Formate und Verfahren ins Rezept; lässt sich zurücknehmen</translation>
    </message>
</context>
<context>
    <name>bw::MethodPanel</name>
    <message>
        <source>Kernels round more than the weights. Perplexity and KL are measured as this runtime computes.</source>
        <translation>Kernel runden mehr als die Gewichte. Perplexität und KL werden so gemessen, wie diese Laufzeit rechnet.</translation>
    </message>
    <message>
        <source>Method</source>
        <translation>Verfahren</translation>
    </message>
    <message>
        <source>Transform</source>
        <translation>Transformation</translation>
    </message>
    <message>
        <source>Function-preserving: before rounding, the model computes what it did before</source>
        <translation>Funktionserhaltend: Vor dem Runden rechnet das Modell, was es vorher rechnete</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>weights are rounded as they are</source>
        <translation>Gewichte werden gerundet, wie sie sind</translation>
    </message>
    <message>
        <source>SmoothQuant, α fixed</source>
        <translation>SmoothQuant, α fest</translation>
    </message>
    <message>
        <source>moves outliers of activations into weights: s = max|x|^α / max|w|^(1−α)</source>
        <translation>verschiebt Ausreißer der Aktivierungen in die Gewichte: s = max|x|^α / max|w|^(1−α)</translation>
    </message>
    <message>
        <source>SmoothQuant, α searched</source>
        <translation>SmoothQuant, α gesucht</translation>
    </message>
    <message>
        <source>α of each layer is the one that leaves the least output error</source>
        <translation>α jeder Schicht ist das mit dem kleinsten Ausgabefehler</translation>
    </message>
    <message>
        <source>AWQ scale search</source>
        <translation>AWQ-Skalensuche</translation>
    </message>
    <message>
        <source>scales up channels with large activations: s = mean|x|^r, r searched per layer</source>
        <translation>skaliert Kanäle mit großen Aktivierungen hoch: s = mean|x|^r, r je Schicht gesucht</translation>
    </message>
    <message>
        <source>Hadamard rotation</source>
        <translation>Hadamard-Rotation</translation>
    </message>
    <message>
        <source>mixes channels so that none stands out; folded into the weights</source>
        <translation>mischt die Kanäle, bis keiner heraussticht; in die Gewichte gefaltet</translation>
    </message>
    <message>
        <source>rotation, then AWQ</source>
        <translation>Rotation, dann AWQ</translation>
    </message>
    <message>
        <source>what is left uneven after mixing is scaled</source>
        <translation>was nach dem Mischen ungleich bleibt, wird skaliert</translation>
    </message>
    <message>
        <source>outlier channels in 16 bits</source>
        <translation>Ausreißerkanäle in 16 Bits</translation>
    </message>
    <message>
        <source>LLM.int8(): channels with large activations are not rounded</source>
        <translation>LLM.int8(): Kanäle mit großen Aktivierungen werden nicht gerundet</translation>
    </message>
    <message>
        <source>outlier weights in 16 bits</source>
        <translation>Ausreißergewichte in 16 Bits</translation>
    </message>
    <message>
        <source>the most important 0.5 % of the weights are kept beside the grid</source>
        <translation>die wichtigsten 0.5 % der Gewichte bleiben neben dem Gitter erhalten</translation>
    </message>
    <message>
        <source>Rounder</source>
        <translation>Rundung</translation>
    </message>
    <message>
        <source>Which grid point a weight goes to</source>
        <translation>Auf welchen Gitterpunkt ein Gewicht kommt</translation>
    </message>
    <message>
        <source>nearest</source>
        <translation>zum Nächsten</translation>
    </message>
    <message>
        <source>the nearest grid point; needs no calibration text</source>
        <translation>der nächste Gitterpunkt; ohne Kalibrierungstext</translation>
    </message>
    <message>
        <source>importance-weighted</source>
        <translation>nach Wichtigkeit</translation>
    </message>
    <message>
        <source>scales are searched so that columns with large inputs lose least</source>
        <translation>Skalen so gesucht, dass Spalten mit großen Eingängen am wenigsten verlieren</translation>
    </message>
    <message>
        <source>GPTQ</source>
        <translation>GPTQ</translation>
    </message>
    <message>
        <source>each column makes up for the rounding of those before it</source>
        <translation>jede Spalte gleicht die Rundung der vorigen aus</translation>
    </message>
    <message>
        <source>stochastic</source>
        <translation>stochastisch</translation>
    </message>
    <message>
        <source>up or down by chance so that the mean is right; a yardstick, not a choice</source>
        <translation>zufällig auf oder ab, sodass der Mittelwert stimmt; ein Maßstab, keine Empfehlung</translation>
    </message>
    <message>
        <source>Activations</source>
        <translation>Aktivierungen</translation>
    </message>
    <message>
        <source>What enters the linears at run time</source>
        <translation>Was zur Laufzeit in die linearen Schichten eingeht</translation>
    </message>
    <message>
        <source>16 or 32 bits</source>
        <translation>16 oder 32 Bits</translation>
    </message>
    <message>
        <source>not rounded</source>
        <translation>nicht gerundet</translation>
    </message>
    <message>
        <source>int8 per token</source>
        <translation>int8 je Token</translation>
    </message>
    <message>
        <source>a scale for every token, found at run time</source>
        <translation>eine Skala je Token, zur Laufzeit bestimmt</translation>
    </message>
    <message>
        <source>int8 per tensor</source>
        <translation>int8 je Tensor</translation>
    </message>
    <message>
        <source>one scale from calibration; outliers hurt here</source>
        <translation>eine Skala aus der Kalibrierung; Ausreißer schaden hier</translation>
    </message>
    <message>
        <source>fp8 per token</source>
        <translation>fp8 je Token</translation>
    </message>
    <message>
        <source>E4M3, a scale for every token</source>
        <translation>E4M3, eine Skala je Token</translation>
    </message>
    <message>
        <source>llama.cpp&apos;s 8 bits</source>
        <translation>8 Bits von llama.cpp</translation>
    </message>
    <message>
        <source>blocks of 32, as its CPU kernels round</source>
        <translation>Blöcke zu 32, wie seine CPU-Kernel runden</translation>
    </message>
    <message>
        <source>int4 per token</source>
        <translation>int4 je Token</translation>
    </message>
    <message>
        <source>for W4A4 kernels; needs rotation or smoothing</source>
        <translation>für W4A4-Kernel; braucht Rotation oder Glättung</translation>
    </message>
    <message>
        <source>KV cache</source>
        <translation>KV-Cache</translation>
    </message>
    <message>
        <source>Keys and values kept for later tokens</source>
        <translation>Keys und Values, für spätere Tokens behalten</translation>
    </message>
    <message>
        <source>16 bits</source>
        <translation>16 Bits</translation>
    </message>
    <message>
        <source>8 bits per token</source>
        <translation>8 Bits je Token</translation>
    </message>
    <message>
        <source>half the memory of a long context</source>
        <translation>halber Speicher eines langen Kontexts</translation>
    </message>
    <message>
        <source>E4M3, as vLLM keeps it</source>
        <translation>E4M3, wie in vLLM</translation>
    </message>
    <message>
        <source>4 bits, groups of 64</source>
        <translation>4 Bits, Gruppen zu 64</translation>
    </message>
    <message>
        <source>a quarter of the memory</source>
        <translation>ein Viertel des Speichers</translation>
    </message>
    <message>
        <source>K per channel, V per token, 4 bits</source>
        <translation>K je Kanal, V je Token, 4 Bits</translation>
    </message>
    <message>
        <source>keys have outlier channels; the newest 64 tokens stay in 16 bits</source>
        <translation>Keys haben Ausreißerkanäle; die neuesten 64 Tokens bleiben in 16 Bits</translation>
    </message>
    <message>
        <source>Judged as</source>
        <translation>Beurteilt als</translation>
    </message>
    <message>
        <source>exact arithmetic</source>
        <translation>exakt gerechnet</translation>
    </message>
    <message>
        <source>only what the recipe rounds is rounded</source>
        <translation>nur was das Rezept rundet, wird gerundet</translation>
    </message>
    <message>
        <source>llama.cpp on a CPU</source>
        <translation>llama.cpp auf der CPU</translation>
    </message>
    <message>
        <source>inputs rounded to 8 bits as the weight types ask, cache in 16 bits; exact figures are given beside</source>
        <translation>Eingänge auf 8 Bits gerundet, wie die Gewichtstypen es verlangen, Cache in 16 Bits; exakte Werte stehen daneben</translation>
    </message>
    <message>
        <source>int8 kernels (W8A8)</source>
        <translation>int8-Kernel (W8A8)</translation>
    </message>
    <message>
        <source>inputs of every layer rounded to int8 for each token; exact figures are given beside</source>
        <translation>Eingänge jeder Schicht je Token auf int8 gerundet; exakte Werte stehen daneben</translation>
    </message>
    <message>
        <source>Method: %1</source>
        <translation>Verfahren: %1</translation>
    </message>
    <message>
        <source>%1 %2</source>
        <translation>%1 %2</translation>
    </message>
    <message>
        <source>as the recipe says</source>
        <translation>wie im Rezept</translation>
    </message>
    <message>
        <source>The activations above are rounded already. Choose 16 or 32 bits for them to judge by a runtime.</source>
        <translation>Die Aktivierungen oben sind schon gerundet. Für das Urteil nach einer Laufzeit dort 16 oder 32 Bits wählen.</translation>
    </message>
</context>
<context>
    <name>bw::MethodsTable</name>
    <message>
        <source>1 rule</source>
        <translation>1 Regel</translation>
    </message>
    <message>
        <source>%1 rules</source>
        <translation>%1 Regeln</translation>
    </message>
    <message>
        <source>Measured on this model</source>
        <translation>An diesem Modell gemessen</translation>
    </message>
    <message>
        <source>Measured methods</source>
        <translation>Gemessene Verfahren</translation>
    </message>
    <message>
        <source>method</source>
        <translation>Verfahren</translation>
    </message>
    <message>
        <source>formats</source>
        <translation>Formate</translation>
    </message>
    <message>
        <source>bits</source>
        <translation>Bits</translation>
    </message>
    <message>
        <source>KL</source>
        <translation>KL</translation>
    </message>
    <message>
        <source>perplexity</source>
        <translation>Perplexität</translation>
    </message>
    <message>
        <source>same top-1</source>
        <translation>Top-1 gleich</translation>
    </message>
    <message>
        <source>s</source>
        <translation>s</translation>
    </message>
    <message>
        <source>bits per weight of the sites, scales and kept weights included</source>
        <translation>Bits je Gewicht der Stellen, mit Skalen und behaltenen Gewichten</translation>
    </message>
    <message>
        <source>mean KL against the original, nats per token, ± one standard error</source>
        <translation>mittlere KL gegen das Original, Nats je Token, ± ein Standardfehler</translation>
    </message>
    <message>
        <source>seconds of rounding</source>
        <translation>Sekunden für das Runden</translation>
    </message>
    <message>
        <source>Nothing measured yet. Verify the method above, or try all proposals: each is rounded in memory and compared with the original on the evaluation texts.</source>
        <translation>Noch nichts gemessen. Das Verfahren oben prüfen oder alle Vorschläge probieren: Jeder wird im Speicher gerundet und an den Evaluierungstexten mit dem Original verglichen.</translation>
    </message>
    <message>
        <source>double click takes the recipe</source>
        <translation>Doppelklick übernimmt das Rezept</translation>
    </message>
    <message>
        <source>run %1 · %2
%3, %4
KL %5 nats per token
%6</source>
        <translation>Lauf %1 · %2
%3, %4
KL %5 Nats je Token
%6</translation>
    </message>
    <message>
        <source> · perplexity %1</source>
        <translation> · Perplexität %1</translation>
    </message>
    <message>
        <source> · same top-1 %1 %</source>
        <translation> · Top-1 gleich %1 %</translation>
    </message>
    <message>
        <source>Method of run %1</source>
        <translation>Verfahren von Lauf %1</translation>
    </message>
</context>
<context>
    <name>bw::MethodsView</name>
    <message>
        <source>Methods</source>
        <translation>Verfahren</translation>
    </message>
</context>
<context>
    <name>bw::MetricTable</name>
    <message>
        <source>Metric</source>
        <translation>Metrik</translation>
    </message>
    <message>
        <source>A</source>
        <translation>A</translation>
    </message>
    <message>
        <source>B</source>
        <translation>B</translation>
    </message>
    <message>
        <source>B − A (95 %)</source>
        <translation>B − A (95 %)</translation>
    </message>
    <message>
        <source>Metrics of both runs</source>
        <translation>Metriken beider Läufe</translation>
    </message>
</context>
<context>
    <name>bw::MetricsPanel</name>
    <message>
        <source>Text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>Position</source>
        <translation>Position</translation>
    </message>
    <message>
        <source>Metrics</source>
        <translation>Metriken</translation>
    </message>
    <message>
        <source>By text</source>
        <translation>Nach Text</translation>
    </message>
    <message>
        <source>By position</source>
        <translation>Nach Position</translation>
    </message>
    <message>
        <source>Seeds</source>
        <translation>Seeds</translation>
    </message>
    <message>
        <source>Each evaluation text by itself, with the 95 % interval of the paired difference</source>
        <translation>Jeder Evaluierungstext für sich, mit dem 95 %-Intervall der gepaarten Differenz</translation>
    </message>
    <message>
        <source>Tokens by their place in the window: what an early token, which has little text before it, loses</source>
        <translation>Tokens nach ihrem Platz im Fenster: was ein frühes Token mit wenig Text davor verliert</translation>
    </message>
    <message>
        <source>Runs that differ in nothing but the seed: a difference within theirs is noise</source>
        <translation>Läufe, die sich nur im Seed unterscheiden: Eine Differenz innerhalb der ihren ist Rauschen</translation>
    </message>
    <message>
        <source>Figure</source>
        <translation>Kennzahl</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>runs with other seeds: A %1 · B %2</source>
        <translation>Läufe mit anderen Seeds: A %1 · B %2</translation>
    </message>
</context>
<context>
    <name>bw::MixActions</name>
    <message>
        <source>Verify mix</source>
        <translation>Prüfen</translation>
    </message>
    <message>
        <source>Solve budget</source>
        <translation>Budget lösen</translation>
    </message>
    <message>
        <source>measure the uncertain</source>
        <translation>Unsichere messen</translation>
    </message>
    <message>
        <source>Presets ▾</source>
        <translation>Vorlagen ▾</translation>
    </message>
    <message>
        <source>The least predicted damage that fits the budget; pinned sites stay</source>
        <translation>Der kleinste vorhergesagte Schaden, der ins Budget passt; fixierte Stellen bleiben</translation>
    </message>
    <message>
        <source>Start from one format everywhere, or measure another map</source>
        <translation>Mit einem Format überall beginnen oder eine weitere Karte messen</translation>
    </message>
    <message>
        <source>copy</source>
        <translation>kopieren</translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation>Als Befehl kopieren</translation>
    </message>
    <message>
        <source>The command is on the clipboard.</source>
        <translation>Der Befehl liegt in der Zwischenablage.</translation>
    </message>
    <message>
        <source>One format everywhere</source>
        <translation>Ein Format überall</translation>
    </message>
    <message>
        <source>Mixes of llama.cpp</source>
        <translation>Mischungen von llama.cpp</translation>
    </message>
    <message>
        <source>Measured runs</source>
        <translation>Gemessene Läufe</translation>
    </message>
    <message>
        <source>run %1 · %2</source>
        <translation>Lauf %1 · %2</translation>
    </message>
    <message>
        <source>none yet</source>
        <translation>noch keine</translation>
    </message>
    <message>
        <source>Map</source>
        <translation>Karte</translation>
    </message>
    <message>
        <source>Estimate a map by Fisher sketch</source>
        <translation>Karte mit Fisher-Skizze schätzen</translation>
    </message>
    <message>
        <source>Measure a map by KL</source>
        <translation>Karte mit KL messen</translation>
    </message>
    <message>
        <source>Measure a map by output error</source>
        <translation>Karte mit Ausgabefehler messen</translation>
    </message>
    <message>
        <source>No map: damage is not known.</source>
        <translation>Keine Karte: Der Schaden ist unbekannt.</translation>
    </message>
    <message>
        <source>Prediction: Fisher, %1 probes</source>
        <translation>Vorhersage: Fisher, %1 Proben</translation>
    </message>
    <message>
        <source>Prediction: Fisher</source>
        <translation>Vorhersage: Fisher</translation>
    </message>
    <message>
        <source> × %1 segments</source>
        <translation> × %1 Segmente</translation>
    </message>
    <message>
        <source>%1 % of %2 cells measured</source>
        <translation>%1 % von %2 Zellen gemessen</translation>
    </message>
    <message>
        <source>Prediction: KL, %1 % of %2 cells measured, the rest scaled by output error</source>
        <translation>Vorhersage: KL, %1 % von %2 Zellen gemessen, der Rest nach Ausgabefehler skaliert</translation>
    </message>
    <message>
        <source>Prediction: measured KL, %1 cells</source>
        <translation>Vorhersage: gemessene KL, %1 Zellen</translation>
    </message>
    <message>
        <source>Prediction: output error, %1 cells</source>
        <translation>Vorhersage: Ausgabefehler, %1 Zellen</translation>
    </message>
    <message>
        <source>run %1</source>
        <translation>Lauf %1</translation>
    </message>
    <message>
        <source>A probe is a gradient of the model&apos;s log-likelihood at labels that it drew itself.</source>
        <translation>Eine Probe ist ein Gradient der Log-Likelihood des Modells an Labels, die es selbst gezogen hat.</translation>
    </message>
    <message>
        <source>
The positions of its window are cut into %1 segments with a projection of every change each:
%2 projections per cell.</source>
        <translation>
Die Positionen ihres Fensters sind in %1 Segmente geteilt, mit je einer Projektion jeder Änderung:
%2 Projektionen je Zelle.</translation>
    </message>
    <message>
        <source>%1 × %2</source>
        <translation>%1 × %2</translation>
    </message>
    <message>
        <source>
Corrected by the measured cells of each format: %1</source>
        <translation>
Korrigiert nach den gemessenen Zellen jedes Formats: %1</translation>
    </message>
    <message>
        <source>Quantizes in memory and measures KL and perplexity against the checkpoint</source>
        <translation>Quantisiert im Speicher und misst KL und Perplexität gegen den Checkpoint</translation>
    </message>
    <message>
        <source>Measures the KL of the few cells whose error bars could change the mix of this size,
solves again on the better map, and so on until the mix stays.</source>
        <translation>Misst die KL der wenigen Zellen, deren Fehlerbalken die Mischung dieser Größe ändern könnten,
löst mit der besseren Karte neu, und so fort, bis die Mischung bleibt.</translation>
    </message>
</context>
<context>
    <name>bw::MixPage</name>
    <message>
        <source>Mix</source>
        <translation>Mischung</translation>
    </message>
    <message>
        <source>Bits</source>
        <translation>Bits</translation>
    </message>
    <message>
        <source>Agreement</source>
        <translation>Abgleich</translation>
    </message>
    <message>
        <source>Methods</source>
        <translation>Verfahren</translation>
    </message>
    <message>
        <source>Bits per site</source>
        <translation>Bits je Stelle</translation>
    </message>
    <message>
        <source>How weights, activations and the cache are rounded, and what each method did to this model</source>
        <translation>Wie Gewichte, Aktivierungen und Cache gerundet werden, und was jedes Verfahren mit diesem Modell machte</translation>
    </message>
    <message>
        <source>How two ways of judging damage agree on this model</source>
        <translation>Wie zwei Arten, Schaden zu beurteilen, bei diesem Modell übereinstimmen</translation>
    </message>
    <message>
        <source>A chip pressed paints: click, or drag over cells, a row&apos;s name or a column&apos;s head.
Shift+click paints with the last chip. Keys: arrows move, 2 3 4 5 6 8 F set a format,
Shift+arrows carry it along, space pins, Esc drops the brush.</source>
        <translation>Ein gedrücktes Format malt: Zellen, Zeilennamen oder Spaltenköpfe anklicken oder überstreichen.
Umschalt+Klick malt mit dem letzten Format. Tasten: Pfeile bewegen, 2 3 4 5 6 8 F setzen ein Format,
Umschalt+Pfeile nehmen es mit, Leertaste fixiert, Esc legt den Pinsel weg.</translation>
    </message>
    <message>
        <source>Bytes per block</source>
        <translation>Bytes je Block</translation>
    </message>
    <message>
        <source>Size against damage</source>
        <translation>Größe gegen Schaden</translation>
    </message>
    <message>
        <source>What the next bytes buy</source>
        <translation>Was die nächsten Bytes bringen</translation>
    </message>
    <message>
        <source>Estimate all sites (Fisher, in nats)</source>
        <translation>Alle Stellen schätzen (Fisher, in Nats)</translation>
    </message>
    <message>
        <source>One forward and backward walk over the calibration texts for all sites and formats</source>
        <translation>Ein Vorwärts- und Rückwärtsgang über die Kalibrierungstexte für alle Stellen und Formate</translation>
    </message>
    <message>
        <source>Measure KL site by site (exact, slow)</source>
        <translation>KL Stelle für Stelle messen (exakt, langsam)</translation>
    </message>
    <message>
        <source>Every site in every format alone, compared with the original; partial results are of use</source>
        <translation>Jede Stelle in jedem Format einzeln, mit dem Original verglichen; Teilergebnisse sind nützlich</translation>
    </message>
    <message>
        <source>Output error (cheapest, not in nats)</source>
        <translation>Ausgabefehler (am billigsten, nicht in Nats)</translation>
    </message>
    <message>
        <source>One forward walk; ranks the formats of one site well, sites among each other less</source>
        <translation>Ein Vorwärtsgang; ordnet die Formate einer Stelle gut, Stellen untereinander weniger</translation>
    </message>
    <message>
        <source>No sensitivity map yet</source>
        <translation>Noch keine Empfindlichkeitskarte</translation>
    </message>
    <message>
        <source>Weights only</source>
        <translation>Nur Gewichte</translation>
    </message>
    <message>
        <source>A sweep tries every site in every format and notes the damage. With it, the colours mean something, the budget can be solved, and a mix is predicted before it is made.</source>
        <translation>Ein Sweep probiert jede Stelle in jedem Format und notiert den Schaden. Damit bekommen die Farben Bedeutung, das Budget lässt sich lösen, und eine Mischung wird vorhergesagt, bevor es sie gibt.</translation>
    </message>
    <message>
        <source>%1.
Formats can be painted, weighed against the size, and written with Quantize; damage can&apos;t be measured.</source>
        <translation>%1.
Formate lassen sich malen, gegen die Größe abwägen und mit Quantisieren schreiben; Schaden lässt sich nicht messen.</translation>
    </message>
    <message>
        <source>● mix  ◆ uniform  ■ rule list</source>
        <translation>● Mix  ◆ uniform  ■ Liste</translation>
    </message>
    <message>
        <source>log · click takes a mix</source>
        <translation>log · Klick übernimmt</translation>
    </message>
    <message>
        <source>colour: damage · label: format</source>
        <translation>Farbe: Schaden · Text: Format</translation>
    </message>
    <message>
        <source>label: format</source>
        <translation>Text: Format</translation>
    </message>
</context>
<context>
    <name>bw::MixState</name>
    <message>
        <source>mixed</source>
        <translation>gemischt</translation>
    </message>
    <message>
        <source>nats per token</source>
        <translation>Nats je Token</translation>
    </message>
    <message>
        <source>relative output error</source>
        <translation>relativer Ausgabefehler</translation>
    </message>
    <message>
        <source>Mix of run %1 · %2</source>
        <translation>Mischung von Lauf %1 · %2</translation>
    </message>
    <message>
        <source>All sites to %1</source>
        <translation>Alle Stellen auf %1</translation>
    </message>
    <message>
        <source>Mix %1 of llama.cpp</source>
        <translation>Mischung %1 von llama.cpp</translation>
    </message>
    <message>
        <source>Unpin %1</source>
        <translation>%1 freigeben</translation>
    </message>
    <message>
        <source>Pin %1</source>
        <translation>%1 fixieren</translation>
    </message>
</context>
<context>
    <name>bw::ModelPage</name>
    <message>
        <source>Blocks and sites</source>
        <translation>Blöcke und Stellen</translation>
    </message>
    <message>
        <source>Filter: blk.3, attn_v, ffn …</source>
        <translation>Filter: blk.3, attn_v, ffn …</translation>
    </message>
    <message>
        <source>Filter sites</source>
        <translation>Stellen filtern</translation>
    </message>
    <message>
        <source>Filter</source>
        <translation>Filter</translation>
    </message>
    <message>
        <source>1 site</source>
        <translation>1 Stelle</translation>
    </message>
    <message>
        <source>%1 sites</source>
        <translation>%1 Stellen</translation>
    </message>
    <message>
        <source>%1 tensors, no forward pass</source>
        <translation>%1 Tensoren, kein Vorwärtsgang</translation>
    </message>
</context>
<context>
    <name>bw::NextSteps</name>
    <message>
        <source>What the next bytes buy</source>
        <translation>Was die nächsten Bytes bringen</translation>
    </message>
    <message>
        <source>+%1 on %2 (%3 → %4) buys %5 %6</source>
        <translation>+%1 bei %2 (%3 → %4) bringt %5 %6</translation>
    </message>
    <message>
        <source>
for %1 together</source>
        <translation>
für %1 zusammen</translation>
    </message>
    <message>
        <source>
less than two standard errors: it may buy nothing</source>
        <translation>
weniger als zwei Standardfehler: bringt vielleicht nichts</translation>
    </message>
    <message>
        <source>nothing left to buy</source>
        <translation>nichts mehr zu holen</translation>
    </message>
    <message>
        <source>Nothing in the map buys less damage.</source>
        <translation>Nichts in der Karte bringt weniger Schaden.</translation>
    </message>
    <message>
        <source>Known once there is a map.</source>
        <translation>Bekannt, sobald es eine Karte gibt.</translation>
    </message>
    <message>
        <source>%1 to %2</source>
        <translation>%1 auf %2</translation>
    </message>
    <message>
        <source>Click to take the step; Undo takes it back.</source>
        <translation>Klicken macht den Schritt; Rückgängig nimmt ihn zurück.</translation>
    </message>
</context>
<context>
    <name>bw::NoticeBar</name>
    <message>
        <source>Notices</source>
        <translation>Hinweise</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close this notice</source>
        <translation>Diesen Hinweis schließen</translation>
    </message>
</context>
<context>
    <name>bw::OutlierPanel</name>
    <message>
        <source>Outlier map</source>
        <translation>Ausreißerkarte</translation>
    </message>
    <message>
        <source>Which inputs</source>
        <translation>Welche Eingänge</translation>
    </message>
    <message>
        <source>into q, k, v</source>
        <translation>in q, k, v</translation>
    </message>
    <message>
        <source>into attention output</source>
        <translation>in attn-Ausgang</translation>
    </message>
    <message>
        <source>into gate, up</source>
        <translation>in gate, up</translation>
    </message>
    <message>
        <source>into down</source>
        <translation>in down</translation>
    </message>
    <message>
        <source>Calibrate to see which channels carry outliers</source>
        <translation>Kalibrieren zeigt, welche Kanäle Ausreißer tragen</translation>
    </message>
    <message>
        <source>Largest input by block and channel</source>
        <translation>Größter Eingang nach Block und Kanal</translation>
    </message>
    <message>
        <source>max |x| by block and channel · click a row to select its site</source>
        <translation>max |x| nach Block und Kanal · Klick auf eine Zeile wählt ihre Stelle</translation>
    </message>
    <message>
        <source>after the what-if</source>
        <translation>nach der Annahme</translation>
    </message>
    <message>
        <source>A rotation spreads every channel over all of them: there is no map of channels after it.</source>
        <translation>Eine Rotation verteilt jeden Kanal auf alle: Danach gibt es keine Karte der Kanäle.</translation>
    </message>
    <message>
        <source>What the what-if would make of these maxima, in the same colours. Channels kept in 16 bits have none.</source>
        <translation>Was die Annahme aus diesen Maxima machen würde, in denselben Farben. In 16 Bits behaltene Kanäle haben keine.</translation>
    </message>
    <message>
        <source>as it is: %1</source>
        <translation>wie es ist: %1</translation>
    </message>
</context>
<context>
    <name>bw::OutputColumn</name>
    <message>
        <source>token %1 %2
original %3 · this run %4</source>
        <translation>Token %1 %2
Original %3 · dieser Lauf %4</translation>
    </message>
    <message>
        <source>token %1: the texts part here</source>
        <translation>Token %1: hier trennen sich die Texte</translation>
    </message>
    <message>
        <source>original</source>
        <translation>Original</translation>
    </message>
    <message>
        <source>this run</source>
        <translation>dieser Lauf</translation>
    </message>
    <message>
        <source>repeats itself</source>
        <translation>wiederholt sich</translation>
    </message>
    <message>
        <source>the same text as the original</source>
        <translation>derselbe Text wie das Original</translation>
    </message>
    <message>
        <source>parts from the original at token %1</source>
        <translation>weicht bei Token %1 vom Original ab</translation>
    </message>
    <message>
        <source>original there: %1</source>
        <translation>Original dort: %1</translation>
    </message>
    <message>
        <source>this run there: %1</source>
        <translation>dieser Lauf dort: %1</translation>
    </message>
    <message>
        <source>similarity of states %1 (lowest %2)</source>
        <translation>Ähnlichkeit der Zustände %1 (kleinste %2)</translation>
    </message>
    <message>
        <source>: reads another text</source>
        <translation>: liest einen anderen Text</translation>
    </message>
    <message>
        <source>collapsed: the longest loop has %1 tokens, %2 of token pairs differ</source>
        <translation>kollabiert: die längste Schleife hat %1 Tokens, %2 der Tokenpaare verschieden</translation>
    </message>
    <message>
        <source>no collapse, %1 of token pairs differ</source>
        <translation>kein Kollaps, %1 der Tokenpaare verschieden</translation>
    </message>
    <message>
        <source>Output of %1</source>
        <translation>Ausgabe von %1</translation>
    </message>
</context>
<context>
    <name>bw::OutputTexts</name>
    <message>
        <source>original</source>
        <translation>Original</translation>
    </message>
</context>
<context>
    <name>bw::OutputsView</name>
    <message>
        <source>Let both answer prompts…</source>
        <translation>Beide Prompts beantworten lassen …</translation>
    </message>
    <message>
        <source>Previous prompt</source>
        <translation>Voriger Prompt</translation>
    </message>
    <message>
        <source>Next prompt</source>
        <translation>Nächster Prompt</translation>
    </message>
    <message>
        <source>Let both runs answer the same prompts: their texts stand here beside the original&apos;s, with the token where they part and what each held for likely there.</source>
        <translation>Lassen Sie beide Läufe dieselben Prompts beantworten: Ihre Texte stehen hier neben dem des Originals, mit dem Token, an dem sie sich trennen, und dem, was jeder dort für wahrscheinlich hielt.</translation>
    </message>
    <message>
        <source>Prompt %1 of %2 · “%3”</source>
        <translation>Prompt %1 von %2 · „%3“</translation>
    </message>
</context>
<context>
    <name>bw::ParetoPlot</name>
    <message>
        <source>this mix</source>
        <translation>diese Mischung</translation>
    </message>
    <message>
        <source>Size against damage</source>
        <translation>Größe gegen Schaden</translation>
    </message>
    <message>
        <source>MiB</source>
        <translation>MiB</translation>
    </message>
    <message>
        <source>no map yet</source>
        <translation>noch keine Karte</translation>
    </message>
    <message>
        <source>KL, nats per token</source>
        <translation>KL, Nats je Token</translation>
    </message>
    <message>
        <source>output error, summed</source>
        <translation>Ausgabefehler, summiert</translation>
    </message>
    <message>
        <source>%1 points from %2 to %3; this mix %4 with predicted damage %5</source>
        <translation>%1 Punkte von %2 bis %3; diese Mischung %4 mit vorhergesagtem Schaden %5</translation>
    </message>
    <message>
        <source>Mix of %1</source>
        <translation>Mischung mit %1</translation>
    </message>
    <message>
        <source>run %1 · %2
%3 (%4)
measured KL %5 nats per token
%6click to take its mix</source>
        <translation>Lauf %1 · %2
%3 (%4)
gemessene KL %5 Nats je Token
%6Klicken übernimmt die Mischung</translation>
    </message>
    <message>
        <source>%1 (%2)
predicted %3 %4
click to take this mix</source>
        <translation>%1 (%2)
vorhergesagt %3 %4
Klicken übernimmt diese Mischung</translation>
    </message>
    <message>
        <source>predicted %1
</source>
        <translation>vorhergesagt %1
</translation>
    </message>
</context>
<context>
    <name>bw::PartsTable</name>
    <message>
        <source>A</source>
        <translation>A</translation>
    </message>
    <message>
        <source>B</source>
        <translation>B</translation>
    </message>
    <message>
        <source>B − A (95 %)</source>
        <translation>B − A (95 %)</translation>
    </message>
    <message>
        <source>%1: %2 tokens scored</source>
        <translation>%1: %2 Tokens bewertet</translation>
    </message>
</context>
<context>
    <name>bw::PlanDialog</name>
    <message>
        <source>Plan</source>
        <translation>Plan</translation>
    </message>
    <message>
        <source>What will be written</source>
        <translation>Was geschrieben wird</translation>
    </message>
    <message>
        <source>Only where the format differs from what was asked</source>
        <translation>Nur wo das Format vom gewünschten abweicht</translation>
    </message>
    <message>
        <source>Run</source>
        <translation>Ausführen</translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation>Als Befehl kopieren</translation>
    </message>
    <message>
        <source>file, bytes</source>
        <translation>Datei, Bytes</translation>
    </message>
    <message>
        <source>file</source>
        <translation>Datei</translation>
    </message>
    <message>
        <source>bits/weight</source>
        <translation>Bits/Gewicht</translation>
    </message>
    <message>
        <source>memory</source>
        <translation>Speicher</translation>
    </message>
    <message>
        <source>disk free</source>
        <translation>Platte frei</translation>
    </message>
    <message>
        <source>time</source>
        <translation>Zeit</translation>
    </message>
    <message>
        <source>tensor</source>
        <translation>Tensor</translation>
    </message>
    <message>
        <source>asked</source>
        <translation>gewünscht</translation>
    </message>
    <message>
        <source>used</source>
        <translation>benutzt</translation>
    </message>
    <message>
        <source>bytes</source>
        <translation>Bytes</translation>
    </message>
    <message>
        <source>why it differs</source>
        <translation>warum anders</translation>
    </message>
    <message>
        <source>Planned tensors</source>
        <translation>Geplante Tensoren</translation>
    </message>
</context>
<context>
    <name>bw::PromptsDialog</name>
    <message>
        <source>Outputs side by side</source>
        <translation>Ausgaben nebeneinander</translation>
    </message>
    <message>
        <source>Prompts</source>
        <translation>Prompts</translation>
    </message>
    <message>
        <source>Once upon a time

The most important thing about a bridge is

def mean(values):</source>
        <translation>Once upon a time

The most important thing about a bridge is

def mean(values):</translation>
    </message>
    <message>
        <source>Runs that answer</source>
        <translation>Läufe, die antworten</translation>
    </message>
    <message>
        <source>Tokens of each answer</source>
        <translation>Tokens je Antwort</translation>
    </message>
    <message>
        <source>Prompt set…</source>
        <translation>Prompt-Datei …</translation>
    </message>
    <message>
        <source>A .jsonl file: one object with a &quot;prompt&quot; a line</source>
        <translation>Eine .jsonl-Datei: je Zeile ein Objekt mit einem &quot;prompt&quot;</translation>
    </message>
    <message>
        <source>Start</source>
        <translation>Starten</translation>
    </message>
    <message>
        <source>tokens of each answer, at most</source>
        <translation>Tokens je Antwort, höchstens</translation>
    </message>
    <message>
        <source>Prompts, an empty line between two</source>
        <translation>Prompts, dazwischen je eine Leerzeile</translation>
    </message>
    <message>
        <source>Runs that answer, up to %1</source>
        <translation>Läufe, die antworten, bis zu %1</translation>
    </message>
    <message>
        <source>The original answers too. A run that wrote no file is written to a temporary one first.</source>
        <translation>Das Original antwortet auch. Ein Lauf ohne Datei wird zuerst in eine temporäre geschrieben.</translation>
    </message>
    <message>
        <source>Prompt set</source>
        <translation>Prompt-Datei</translation>
    </message>
    <message>
        <source>Prompt sets (*.jsonl);;All files (*)</source>
        <translation>Prompt-Dateien (*.jsonl);;Alle Dateien (*)</translation>
    </message>
    <message>
        <source>and those of %1</source>
        <translation>und die aus %1</translation>
    </message>
    <message>
        <source>Tick at least one run.</source>
        <translation>Mindestens einen Lauf ankreuzen.</translation>
    </message>
    <message>
        <source>At most %1 runs stand side by side.</source>
        <translation>Höchstens %1 Läufe stehen nebeneinander.</translation>
    </message>
    <message>
        <source>Type a prompt, or choose a prompt set.</source>
        <translation>Einen Prompt eingeben oder eine Prompt-Datei wählen.</translation>
    </message>
</context>
<context>
    <name>bw::Rail</name>
    <message>
        <source>Model</source>
        <translation>Modell</translation>
    </message>
    <message>
        <source>Calibrate</source>
        <translation>Kalibrieren</translation>
    </message>
    <message>
        <source>Mix</source>
        <translation>Mischen</translation>
    </message>
    <message>
        <source>Runs</source>
        <translation>Läufe</translation>
    </message>
    <message>
        <source>Compare</source>
        <translation>Vergleichen</translation>
    </message>
    <message>
        <source>%1 (Ctrl+%2)</source>
        <translation>%1 (Strg+%2)</translation>
    </message>
    <message>
        <source>Menu</source>
        <translation>Menü</translation>
    </message>
</context>
<context>
    <name>bw::RecipeTable</name>
    <message>
        <source>What</source>
        <translation>Was</translation>
    </message>
    <message>
        <source>A</source>
        <translation>A</translation>
    </message>
    <message>
        <source>B</source>
        <translation>B</translation>
    </message>
    <message>
        <source>What differs in the recipes</source>
        <translation>Unterschiede der Rezepte</translation>
    </message>
</context>
<context>
    <name>bw::ReliabilityPlot</name>
    <message>
        <source>confidence</source>
        <translation>Konfidenz</translation>
    </message>
    <message>
        <source>share right</source>
        <translation>Anteil richtig</translation>
    </message>
    <message>
        <source>Reliability: share of right predictions by confidence</source>
        <translation>Verlässlichkeit: Anteil richtiger Vorhersagen nach Konfidenz</translation>
    </message>
    <message>
        <source>Neither run holds a reliability diagram: evaluate anew.</source>
        <translation>Keiner der Läufe hat ein Verlässlichkeitsdiagramm: neu evaluieren.</translation>
    </message>
    <message>
        <source>%1: sure %2, right %3 (95 %: %4 … %5), %6 tokens</source>
        <translation>%1: sicher %2, richtig %3 (95 %: %4 … %5), %6 Tokens</translation>
    </message>
</context>
<context>
    <name>bw::RunChooser</name>
    <message>
        <source>Choose a run</source>
        <translation>Lauf wählen</translation>
    </message>
    <message>
        <source>Run %1: %2</source>
        <translation>Lauf %1: %2</translation>
    </message>
    <message>
        <source>from the experiment log</source>
        <translation>aus dem Versuchsprotokoll</translation>
    </message>
    <message>
        <source>%1  —  %2</source>
        <translation>%1  —  %2</translation>
    </message>
    <message>
        <source>%1 more: type a part of the name to find them</source>
        <translation>%1 weitere: einen Teil des Namens eingeben</translation>
    </message>
    <message>
        <source>Filter runs</source>
        <translation>Läufe filtern</translation>
    </message>
    <message>
        <source>Runs</source>
        <translation>Läufe</translation>
    </message>
</context>
<context>
    <name>bw::RunDetails</name>
    <message>
        <source>The chosen run</source>
        <translation>Der gewählte Lauf</translation>
    </message>
    <message>
        <source>Warnings</source>
        <translation>Warnungen</translation>
    </message>
    <message>
        <source>By text</source>
        <translation>Nach Text</translation>
    </message>
    <message>
        <source>By position</source>
        <translation>Nach Position</translation>
    </message>
    <message>
        <source>Text</source>
        <translation>Text</translation>
    </message>
    <message>
        <source>Position</source>
        <translation>Position</translation>
    </message>
    <message>
        <source>Tokens</source>
        <translation>Tokens</translation>
    </message>
    <message>
        <source>Perplexity</source>
        <translation>Perplexität</translation>
    </message>
    <message>
        <source>KL, nats</source>
        <translation>KL, Nats</translation>
    </message>
    <message>
        <source>Same top token</source>
        <translation>Top-1 gleich</translation>
    </message>
    <message>
        <source>Warnings (%1)</source>
        <translation>Warnungen (%1)</translation>
    </message>
    <message>
        <source>run %1</source>
        <translation>Lauf %1</translation>
    </message>
</context>
<context>
    <name>bw::RunsModel</name>
    <message>
        <source>today %1</source>
        <translation>heute %1</translation>
    </message>
    <message>
        <source>starred</source>
        <translation>markiert</translation>
    </message>
    <message>
        <source>not starred</source>
        <translation>nicht markiert</translation>
    </message>
    <message>
        <source>bits/weight</source>
        <translation>Bits/Gewicht</translation>
    </message>
    <message>
        <source>size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>KL, nats</source>
        <translation>KL, Nats</translation>
    </message>
    <message>
        <source>same top token</source>
        <translation>Top-1 gleich</translation>
    </message>
    <message>
        <source>perplexity</source>
        <translation>Perplexität</translation>
    </message>
    <message>
        <source>run</source>
        <translation>Lauf</translation>
    </message>
    <message>
        <source>kind</source>
        <translation>Art</translation>
    </message>
    <message>
        <source>name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>status</source>
        <translation>Status</translation>
    </message>
    <message>
        <source>checkpoint</source>
        <translation>Checkpoint</translation>
    </message>
    <message>
        <source>started</source>
        <translation>begonnen</translation>
    </message>
    <message>
        <source>time</source>
        <translation>Dauer</translation>
    </message>
    <message>
        <source>tags</source>
        <translation>Tags</translation>
    </message>
    <message>
        <source>note</source>
        <translation>Notiz</translation>
    </message>
    <message>
        <source>d MMM yyyy HH:mm</source>
        <translation>d. MMM yyyy HH:mm</translation>
    </message>
</context>
<context>
    <name>bw::RunsPage</name>
    <message>
        <source>Experiments</source>
        <translation>Versuche</translation>
    </message>
    <message>
        <source>No runs yet. Everything that is calibrated, measured, mixed, quantized or evaluated is listed here.
Drop a checkpoint on the window to begin, or a log of earlier runs to see them.</source>
        <translation>Noch keine Läufe. Alles, was kalibriert, gemessen, gemischt, quantisiert oder evaluiert wird, steht hier.
Ziehen Sie einen Checkpoint auf das Fenster, um zu beginnen, oder ein Protokoll früherer Läufe, um sie zu sehen.</translation>
    </message>
    <message>
        <source>Filter: kind, name, status, checkpoint, tag, “star” …</source>
        <translation>Filter: Art, Name, Status, Checkpoint, Tag, „star“ …</translation>
    </message>
    <message>
        <source>Filter runs</source>
        <translation>Läufe filtern</translation>
    </message>
    <message>
        <source>Filter</source>
        <translation>Filter</translation>
    </message>
    <message>
        <source>group by checkpoint</source>
        <translation>nach Checkpoint gruppieren</translation>
    </message>
    <message>
        <source>Columns  ▾</source>
        <translation>Spalten  ▾</translation>
    </message>
    <message>
        <source>Compare (C)</source>
        <translation>Vergleichen (C)</translation>
    </message>
    <message>
        <source>Select two runs with Ctrl+click</source>
        <translation>Zwei Läufe mit Strg+Klick wählen</translation>
    </message>
    <message>
        <source>Open</source>
        <translation>Öffnen</translation>
    </message>
    <message>
        <source>Runs</source>
        <translation>Läufe</translation>
    </message>
    <message>
        <source>1 run</source>
        <translation>1 Lauf</translation>
    </message>
    <message>
        <source>%1 runs</source>
        <translation>%1 Läufe</translation>
    </message>
    <message>
        <source>%1 of %2 runs</source>
        <translation>%1 von %2 Läufen</translation>
    </message>
    <message>
        <source>Open	Return</source>
        <translation>Öffnen	Eingabe</translation>
    </message>
    <message>
        <source>Go on where it stopped</source>
        <translation>Dort weitermachen, wo er stoppte</translation>
    </message>
    <message>
        <source>Compare	C</source>
        <translation>Vergleichen	C</translation>
    </message>
    <message>
        <source>Write report…</source>
        <translation>Bericht schreiben …</translation>
    </message>
    <message>
        <source>Find out why it lost what it lost</source>
        <translation>Ursache des Verlusts suchen</translation>
    </message>
    <message>
        <source>Star or unstar	S</source>
        <translation>Stern setzen oder nehmen	S</translation>
    </message>
    <message>
        <source>Tag…	T</source>
        <translation>Tag …	T</translation>
    </message>
    <message>
        <source>Note…	N</source>
        <translation>Notiz …	N</translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation>Als Befehl kopieren</translation>
    </message>
    <message>
        <source>Copy table as Markdown</source>
        <translation>Tabelle als Markdown kopieren</translation>
    </message>
    <message>
        <source>Save table as CSV…</source>
        <translation>Tabelle als CSV speichern …</translation>
    </message>
    <message>
        <source>Save table</source>
        <translation>Tabelle speichern</translation>
    </message>
    <message>
        <source>CSV (*.csv)</source>
        <translation>CSV (*.csv)</translation>
    </message>
    <message>
        <source>Saved %1</source>
        <translation>%1 gespeichert</translation>
    </message>
    <message>
        <source>Select two runs with Ctrl+click, then press C.</source>
        <translation>Zwei Läufe mit Strg+Klick wählen, dann C drücken.</translation>
    </message>
    <message>
        <source>Tag</source>
        <translation>Tag</translation>
    </message>
    <message>
        <source>Tag to add, or to take away where it is there:</source>
        <translation>Tag zum Hinzufügen, oder zum Wegnehmen, wo es schon da ist:</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Notiz</translation>
    </message>
    <message>
        <source>Note for run %1:</source>
        <translation>Notiz zu Lauf %1:</translation>
    </message>
    <message>
        <source>Copied: %1</source>
        <translation>Kopiert: %1</translation>
    </message>
</context>
<context>
    <name>bw::SeedsTable</name>
    <message>
        <source>Metric</source>
        <translation>Metrik</translation>
    </message>
    <message>
        <source>A, all seeds</source>
        <translation>A, alle Seeds</translation>
    </message>
    <message>
        <source>B, all seeds</source>
        <translation>B, alle Seeds</translation>
    </message>
    <message>
        <source>noise of B − A</source>
        <translation>Rauschen von B − A</translation>
    </message>
    <message>
        <source>What seeds alone differ by</source>
        <translation>Was Seeds allein ausmachen</translation>
    </message>
    <message>
        <source>mean and standard deviation of single runs</source>
        <translation>Mittelwert und Standardabweichung einzelner Läufe</translation>
    </message>
    <message>
        <source>no runs of this recipe with other seeds</source>
        <translation>keine Läufe dieses Rezepts mit anderen Seeds</translation>
    </message>
    <message>
        <source>95 of 100 pairs of seeds differ by less: such a difference says nothing about the recipes</source>
        <translation>95 von 100 Seed-Paaren weichen weniger ab: Eine solche Differenz sagt nichts über die Rezepte</translation>
    </message>
</context>
<context>
    <name>bw::Session</name>
    <message>
        <source>%1 to %2</source>
        <translation>%1 auf %2</translation>
    </message>
    <message>
        <source>%1 blocks</source>
        <translation>%1 Blöcke</translation>
    </message>
    <message>
        <source>%1 sites</source>
        <translation>%1 Stellen</translation>
    </message>
    <message>
        <source>weights only</source>
        <translation>nur Gewichte</translation>
    </message>
    <message>
        <source>%1 weights</source>
        <translation>%1 Gewichte</translation>
    </message>
    <message>
        <source>%1 bits/weight</source>
        <translation>%1 Bits/Gewicht</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message>
        <source>%1 texts</source>
        <translation>%1 Texte</translation>
    </message>
</context>
<context>
    <name>bw::SettingsDialog</name>
    <message>
        <source>Settings</source>
        <translation>Einstellungen</translation>
    </message>
    <message>
        <source>Changes hold from the next job on and are kept for the next start.</source>
        <translation>Änderungen gelten ab dem nächsten Auftrag und bleiben für den nächsten Start.</translation>
    </message>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Appearance</source>
        <translation>Erscheinungsbild</translation>
    </message>
    <message>
        <source>as the system</source>
        <translation>wie das System</translation>
    </message>
    <message>
        <source>light</source>
        <translation>hell</translation>
    </message>
    <message>
        <source>dark</source>
        <translation>dunkel</translation>
    </message>
    <message>
        <source>Theme</source>
        <translation>Farbschema</translation>
    </message>
    <message>
        <source>Computing</source>
        <translation>Rechnen</translation>
    </message>
    <message>
        <source>Where jobs started in this window compute. Recipes and copied commands name it.</source>
        <translation>Wo Aufträge dieses Fensters rechnen. Rezepte und kopierte Befehle nennen es.</translation>
    </message>
    <message>
        <source>Device</source>
        <translation>Gerät</translation>
    </message>
    <message>
        <source>Memory of the GPU</source>
        <translation>Speicher der GPU</translation>
    </message>
    <message>
        <source>nine tenths of what it has</source>
        <translation>neun Zehntel des vorhandenen</translation>
    </message>
    <message>
        <source>The most that is taken of a GPU&apos;s memory. What does not fit, the processor computes.</source>
        <translation>So viel wird vom Speicher einer GPU höchstens genommen. Was nicht passt, rechnet der Prozessor.</translation>
    </message>
    <message>
        <source>one for each core</source>
        <translation>einer je Kern</translation>
    </message>
    <message>
        <source>Results do not depend on it. Fewer leave more of the machine to other programs.</source>
        <translation>Ergebnisse hängen nicht davon ab. Weniger lassen anderen Programmen mehr vom Rechner.</translation>
    </message>
    <message>
        <source>Threads</source>
        <translation>Threads</translation>
    </message>
    <message>
        <source>Memory for activations</source>
        <translation>Speicher für Aktivierungen</translation>
    </message>
    <message>
        <source>2 GiB</source>
        <translation>2 GiB</translation>
    </message>
    <message>
        <source>More of them go to a file in the temporary folder, which is slower.</source>
        <translation>Weitere kommen in eine Datei im temporären Ordner; das ist langsamer.</translation>
    </message>
    <message>
        <source>Caches</source>
        <translation>Caches</translation>
    </message>
    <message>
        <source>Rounded tensors, calibrations and baselines are kept, so that what was computed once is not computed again.</source>
        <translation>Gerundete Tensoren, Kalibrierungen und Originalwerte bleiben erhalten, damit nichts zweimal berechnet wird.</translation>
    </message>
    <message>
        <source>Choose…</source>
        <translation>Wählen …</translation>
    </message>
    <message>
        <source>Choose the folder of the caches</source>
        <translation>Ordner der Caches wählen</translation>
    </message>
    <message>
        <source>Folder</source>
        <translation>Ordner</translation>
    </message>
    <message>
        <source>Size of each</source>
        <translation>Größe je Cache</translation>
    </message>
    <message>
        <source>4 GiB, or a tenth of the free disk</source>
        <translation>4 GiB oder ein Zehntel der freien Platte</translation>
    </message>
    <message>
        <source>Of rounded tensors, and of Gram matrices. What was not used for longest goes first.</source>
        <translation>Von gerundeten Tensoren und von Gram-Matrizen. Am längsten Unbenutztes geht zuerst.</translation>
    </message>
    <message>
        <source>Clear</source>
        <translation>Leeren</translation>
    </message>
    <message>
        <source>Nothing is lost but time: all of it can be computed again.</source>
        <translation>Verloren geht nur Zeit: Alles lässt sich neu berechnen.</translation>
    </message>
    <message>
        <source>They hold</source>
        <translation>Inhalt</translation>
    </message>
    <message>
        <source> GiB</source>
        <translation> GiB</translation>
    </message>
    <message>
        <source>Looking for GPUs…</source>
        <translation>Sucht nach GPUs …</translation>
    </message>
    <message>
        <source>the processor</source>
        <translation>der Prozessor</translation>
    </message>
    <message>
        <source>the first GPU that works, else the processor</source>
        <translation>die erste nutzbare GPU, sonst der Prozessor</translation>
    </message>
    <message>
        <source>%1, which is not there</source>
        <translation>%1, nicht vorhanden</translation>
    </message>
    <message>
        <source>It also offers %1.</source>
        <translation>Es bietet auch %1.</translation>
    </message>
    <message>
        <source>This device is not there. Until it is, jobs run on the processor.</source>
        <translation>Dieses Gerät fehlt. Bis es da ist, laufen Aufträge auf dem Prozessor.</translation>
    </message>
    <message>
        <source>No GPU can be used: %1</source>
        <translation>Keine GPU ist nutzbar: %1</translation>
    </message>
    <message>
        <source>none: there is no home folder</source>
        <translation>keiner: Es gibt keinen persönlichen Ordner</translation>
    </message>
    <message>
        <source>Counting…</source>
        <translation>Zählt …</translation>
    </message>
    <message>
        <source>nothing</source>
        <translation>nichts</translation>
    </message>
    <message>
        <source>%1 in %2</source>
        <translation>%1 in %2</translation>
    </message>
    <message>
        <source>1 file</source>
        <translation>1 Datei</translation>
    </message>
    <message>
        <source>%1 files</source>
        <translation>%1 Dateien</translation>
    </message>
    <message>
        <source>Clearing…</source>
        <translation>Leert …</translation>
    </message>
    <message>
        <source>Folder of the caches</source>
        <translation>Ordner der Caches</translation>
    </message>
    <message>
        <source>Of the window. Figures keep their decimal point, as on the command line and in tables.</source>
        <translation>Die des Fensters. Zahlen behalten ihren Dezimalpunkt, wie auf der Kommandozeile und in Tabellen.</translation>
    </message>
    <message>
        <source>Language</source>
        <translation>Sprache</translation>
    </message>
</context>
<context>
    <name>bw::SiteTreeModel</name>
    <message>
        <source>Embed, head</source>
        <translation>Embed, Kopf</translation>
    </message>
    <message>
        <source>Embedding</source>
        <translation>Embedding</translation>
    </message>
    <message>
        <source>Tensors</source>
        <translation>Tensoren</translation>
    </message>
    <message>
        <source>1 site</source>
        <translation>1 Stelle</translation>
    </message>
    <message>
        <source>%1 sites</source>
        <translation>%1 Stellen</translation>
    </message>
    <message>
        <source>Excess kurtosis of the weights; 0 = Gaussian, large = heavy tails</source>
        <translation>Exzess-Kurtosis der Gewichte; 0 = Gauß, groß = schwere Ränder</translation>
    </message>
    <message>
        <source>Share of weights beyond six standard deviations</source>
        <translation>Anteil der Gewichte jenseits von sechs Standardabweichungen</translation>
    </message>
    <message>
        <source>Largest |w| along the output channels</source>
        <translation>Größtes |w| entlang der Ausgangskanäle</translation>
    </message>
    <message>
        <source>site</source>
        <translation>Stelle</translation>
    </message>
    <message>
        <source>shape</source>
        <translation>Form</translation>
    </message>
    <message>
        <source>type</source>
        <translation>Typ</translation>
    </message>
    <message>
        <source>size</source>
        <translation>Größe</translation>
    </message>
    <message>
        <source>kurt.</source>
        <translation>Kurt.</translation>
    </message>
    <message>
        <source>6σ %</source>
        <translation>6σ %</translation>
    </message>
    <message>
        <source>max</source>
        <translation>max</translation>
    </message>
</context>
<context>
    <name>bw::StartPage</name>
    <message>
        <source>Recent checkpoints</source>
        <translation>Letzte Checkpoints</translation>
    </message>
    <message>
        <source>A Hugging Face folder, a .safetensors or a .gguf file. Nothing is copied, nothing is changed.</source>
        <translation>Ein Hugging-Face-Ordner, eine .safetensors- oder .gguf-Datei. Nichts wird kopiert, nichts verändert.</translation>
    </message>
    <message>
        <source>Open folder…</source>
        <translation>Ordner öffnen …</translation>
    </message>
    <message>
        <source>Open file…</source>
        <translation>Datei öffnen …</translation>
    </message>
    <message>
        <source>New here?</source>
        <translation>Neu hier?</translation>
    </message>
    <message>
        <source>The demo model comes with the program. Trying it calibrates, measures, mixes, quantizes and compares for real, and fills every workspace with the results.</source>
        <translation>Das Demo-Modell liegt dem Programm bei. Es kalibriert, misst, mischt, quantisiert und vergleicht wirklich und füllt jeden Arbeitsbereich mit den Ergebnissen.</translation>
    </message>
    <message>
        <source>Try the demo model</source>
        <translation>Demo-Modell probieren</translation>
    </message>
    <message>
        <source>Opening…</source>
        <translation>Öffnet …</translation>
    </message>
    <message>
        <source>Drop a checkpoint here</source>
        <translation>Checkpoint hier ablegen</translation>
    </message>
    <message>
        <source>missing: %1</source>
        <translation>fehlt: %1</translation>
    </message>
    <message>
        <source>Forget</source>
        <translation>Vergessen</translation>
    </message>
    <message>
        <source>Forget %1</source>
        <translation>%1 vergessen</translation>
    </message>
</context>
<context>
    <name>bw::Studio</name>
    <message>
        <source>The log can&apos;t be changed while a job writes to it.</source>
        <translation>Das Protokoll lässt sich nicht wechseln, solange ein Auftrag hineinschreibt.</translation>
    </message>
    <message>
        <source>The experiment log could not be opened</source>
        <translation>Das Versuchsprotokoll ließ sich nicht öffnen</translation>
    </message>
    <message>
        <source>This log is only read, jobs need another one. %1</source>
        <translation>Dieses Protokoll wird nur gelesen, Aufträge brauchen ein anderes. %1</translation>
    </message>
    <message>
        <source>The experiment log can&apos;t be used, so runs go to %2 for now: %1</source>
        <translation>Das Versuchsprotokoll ist nicht nutzbar, Läufe gehen vorerst nach %2: %1</translation>
    </message>
    <message>
        <source>The experiment log can&apos;t be used, nor one in the temporary folder, so nothing can be run: %1</source>
        <translation>Das Versuchsprotokoll ist nicht nutzbar, auch keines im temporären Ordner; nichts lässt sich ausführen: %1</translation>
    </message>
    <message>
        <source>%1 is open already.</source>
        <translation>%1 ist schon offen.</translation>
    </message>
    <message>
        <source>Weights only: %1</source>
        <translation>Nur Gewichte: %1</translation>
    </message>
    <message>
        <source>%1 could not be opened</source>
        <translation>%1 ließ sich nicht öffnen</translation>
    </message>
    <message>
        <source>Add evaluation text</source>
        <translation>Evaluierungstext hinzufügen</translation>
    </message>
    <message>
        <source>Add calibration text</source>
        <translation>Kalibrierungstext hinzufügen</translation>
    </message>
    <message>
        <source>Recipe %1 opened.</source>
        <translation>Rezept %1 geöffnet.</translation>
    </message>
    <message>
        <source>try %1 methods</source>
        <translation>%1 Verfahren probieren</translation>
    </message>
    <message>
        <source>measure the uncertain</source>
        <translation>Unsichere messen</translation>
    </message>
    <message>
        <source>Take the mix of run %1</source>
        <translation>Mischung von Lauf %1 übernehmen</translation>
    </message>
    <message>
        <source>The demo model is not installed.</source>
        <translation>Das Demo-Modell ist nicht installiert.</translation>
    </message>
    <message>
        <source>demo · the whole road</source>
        <translation>Demo · der ganze Weg</translation>
    </message>
    <message>
        <source>Going on with the job that was stopped.</source>
        <translation>Der gestoppte Auftrag geht weiter.</translation>
    </message>
    <message>
        <source>The stopped job can&apos;t go on</source>
        <translation>Der gestoppte Auftrag kann nicht weitergehen</translation>
    </message>
    <message>
        <source>The log could not be written</source>
        <translation>Das Protokoll ließ sich nicht schreiben</translation>
    </message>
    <message>
        <source>this machine has no device of that number</source>
        <translation>dieser Rechner hat kein Gerät dieser Nummer</translation>
    </message>
    <message>
        <source>Written: %1</source>
        <translation>Geschrieben: %1</translation>
    </message>
    <message>
        <source>The report could not be written</source>
        <translation>Der Bericht ließ sich nicht schreiben</translation>
    </message>
    <message>
        <source>The prompts could not be saved</source>
        <translation>Die Prompts ließen sich nicht speichern</translation>
    </message>
    <message>
        <source>outputs · run %1</source>
        <translation>Ausgaben · Lauf %1</translation>
    </message>
    <message>
        <source>This run can&apos;t be diagnosed</source>
        <translation>Dieser Lauf lässt sich nicht untersuchen</translation>
    </message>
</context>
<context>
    <name>bw::TableExport</name>
    <message>
        <source>Copy table as Markdown</source>
        <translation>Tabelle als Markdown kopieren</translation>
    </message>
    <message>
        <source>Copy table as CSV</source>
        <translation>Tabelle als CSV kopieren</translation>
    </message>
    <message>
        <source>Save table as CSV…</source>
        <translation>Tabelle als CSV speichern …</translation>
    </message>
    <message>
        <source>Save table</source>
        <translation>Tabelle speichern</translation>
    </message>
    <message>
        <source>CSV table (*.csv)</source>
        <translation>CSV-Tabelle (*.csv)</translation>
    </message>
    <message>
        <source>Not saved</source>
        <translation>Nicht gespeichert</translation>
    </message>
</context>
<context>
    <name>bw::TokenCurve</name>
    <message>
        <source>KL per token</source>
        <translation>KL je Token</translation>
    </message>
    <message numerus="yes">
        <source>%n tokens</source>
        <translation>
            <numerusform>%n Token</numerusform>
            <numerusform>%n Tokens</numerusform>
        </translation>
    </message>
    <message>
        <source>token %1</source>
        <translation>Token %1</translation>
    </message>
    <message>
        <source>
A %1 nats</source>
        <translation>
A %1 Nats</translation>
    </message>
    <message>
        <source>
B %1 nats</source>
        <translation>
B %1 Nats</translation>
    </message>
</context>
<context>
    <name>bw::TokenText</name>
    <message>
        <source>Text, tokens coloured by the difference of KL</source>
        <translation>Text, Tokens nach KL-Differenz gefärbt</translation>
    </message>
    <message>
        <source>Both runs must have scored the same text against a baseline to be read side by side.</source>
        <translation>Nebeneinander lesbar sind nur Läufe, die denselben Text am Original gemessen haben.</translation>
    </message>
    <message>
        <source>original</source>
        <translation>Original</translation>
    </message>
    <message>
        <source>Neither run kept its likeliest tokens: an earlier version made them. Evaluate them again to see these.</source>
        <translation>Keiner der Läufe hat seine wahrscheinlichsten Tokens aufbewahrt: Eine frühere Version machte sie. Neu evaluieren zeigt sie.</translation>
    </message>
    <message>
        <source>A did not keep its likeliest tokens: evaluate it again to see these.</source>
        <translation>A hat seine wahrscheinlichsten Tokens nicht aufbewahrt: Neu evaluieren zeigt sie.</translation>
    </message>
    <message>
        <source>B did not keep its likeliest tokens: evaluate it again to see these.</source>
        <translation>B hat seine wahrscheinlichsten Tokens nicht aufbewahrt: Neu evaluieren zeigt sie.</translation>
    </message>
    <message>
        <source>token %1 %2
KL  A %3  B %4 nats</source>
        <translation>Token %1 %2
KL  A %3  B %4 Nats</translation>
    </message>
    <message>
        <source>
probability of the text  A %1 %  B %2 %</source>
        <translation>
Wahrscheinlichkeit des Textes  A %1 %  B %2 %</translation>
    </message>
</context>
<context>
    <name>bw::TopBar</name>
    <message>
        <source>Calibration and evaluation texts</source>
        <translation>Kalibrierungs- und Evaluierungstexte</translation>
    </message>
    <message>
        <source>Recipe</source>
        <translation>Rezept</translation>
    </message>
    <message>
        <source>Ctrl+K</source>
        <translation>Strg+K</translation>
    </message>
    <message>
        <source>Every action, site and run by name</source>
        <translation>Jede Aktion, Stelle und jeder Lauf nach Namen</translation>
    </message>
    <message>
        <source>Command palette</source>
        <translation>Befehlspalette</translation>
    </message>
    <message>
        <source>Bitwright</source>
        <translation>Bitwright</translation>
    </message>
    <message>
        <source>no checkpoint open</source>
        <translation>kein Checkpoint offen</translation>
    </message>
    <message>
        <source>calib: %1  ▾</source>
        <translation>Kalib.: %1  ▾</translation>
    </message>
    <message>
        <source>1 rule</source>
        <translation>1 Regel</translation>
    </message>
    <message>
        <source>%1 rules</source>
        <translation>%1 Regeln</translation>
    </message>
    <message>
        <source>recipe: %1  ▾</source>
        <translation>Rezept: %1  ▾</translation>
    </message>
    <message>
        <source>Evaluation texts</source>
        <translation>Evaluierungstexte</translation>
    </message>
    <message>
        <source>Calibration texts</source>
        <translation>Kalibrierungstexte</translation>
    </message>
    <message>
        <source>none yet: drop text files on the window</source>
        <translation>noch keine: Textdateien auf das Fenster ziehen</translation>
    </message>
    <message>
        <source>%1 texts, the first %2:</source>
        <translation>%1 Texte, die ersten %2:</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>Remove a text</source>
        <translation>Text entfernen</translation>
    </message>
    <message>
        <source>Add evaluation text…</source>
        <translation>Evaluierungstext hinzufügen …</translation>
    </message>
    <message>
        <source>Add calibration text…</source>
        <translation>Kalibrierungstext hinzufügen …</translation>
    </message>
    <message>
        <source>Use the demo texts</source>
        <translation>Demo-Texte nehmen</translation>
    </message>
    <message>
        <source>Judged as</source>
        <translation>Beurteilt als</translation>
    </message>
    <message>
        <source>Exact arithmetic</source>
        <translation>Exakt gerechnet</translation>
    </message>
    <message>
        <source>Only what the recipe rounds is rounded.</source>
        <translation>Nur was das Rezept rundet, wird gerundet.</translation>
    </message>
    <message>
        <source>llama.cpp on a CPU</source>
        <translation>llama.cpp auf der CPU</translation>
    </message>
    <message>
        <source>Inputs are rounded to 8 bits as the weight types ask, and the cache is kept in 16 bits.</source>
        <translation>Eingänge werden auf 8 Bits gerundet, wie die Gewichtstypen es verlangen, der Cache bleibt in 16 Bits.</translation>
    </message>
    <message>
        <source>int8 kernels (W8A8)</source>
        <translation>int8-Kernel (W8A8)</translation>
    </message>
    <message>
        <source>Inputs of every layer are rounded to int8 for each token.</source>
        <translation>Eingänge jeder Schicht werden je Token auf int8 gerundet.</translation>
    </message>
    <message>
        <source>Judge as %1</source>
        <translation>Beurteilen als %1</translation>
    </message>
    <message>
        <source>One format everywhere</source>
        <translation>Ein Format überall</translation>
    </message>
    <message>
        <source>%1 · %2</source>
        <translation>%1 · %2</translation>
    </message>
    <message>
        <source>All sites to %1</source>
        <translation>Alle Stellen auf %1</translation>
    </message>
    <message>
        <source>Rounding</source>
        <translation>Rundung</translation>
    </message>
    <message>
        <source>Weigh by calibration importance</source>
        <translation>Nach Wichtigkeit der Kalibrierung gewichten</translation>
    </message>
    <message>
        <source>Search the clip of each group</source>
        <translation>Kappung jeder Gruppe suchen</translation>
    </message>
    <message>
        <source>Open recipe…</source>
        <translation>Rezept öffnen …</translation>
    </message>
    <message>
        <source>Save recipe as…</source>
        <translation>Rezept speichern unter …</translation>
    </message>
    <message>
        <source>Copy as command</source>
        <translation>Als Befehl kopieren</translation>
    </message>
</context>
<context>
    <name>bw::WarningsTable</name>
    <message>
        <source>What was seen</source>
        <translation>Beobachtet</translation>
    </message>
    <message>
        <source>Why it matters</source>
        <translation>Warum es zählt</translation>
    </message>
    <message>
        <source>What to do</source>
        <translation>Was tun</translation>
    </message>
    <message>
        <source>Warnings</source>
        <translation>Warnungen</translation>
    </message>
    <message>
        <source>Copy as Markdown</source>
        <translation>Als Markdown kopieren</translation>
    </message>
</context>
<context>
    <name>bw::WeightPanel</name>
    <message>
        <source>Weights</source>
        <translation>Gewichte</translation>
    </message>
    <message>
        <source>select a site</source>
        <translation>Stelle wählen</translation>
    </message>
    <message>
        <source>Histogram of the weights</source>
        <translation>Histogramm der Gewichte</translation>
    </message>
    <message>
        <source>Per-channel maximum</source>
        <translation>Maximum je Kanal</translation>
    </message>
    <message>
        <source>Largest weight of every output channel</source>
        <translation>Größtes Gewicht jedes Ausgangskanals</translation>
    </message>
    <message>
        <source>|W| map</source>
        <translation>|W|-Karte</translation>
    </message>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
    <message>
        <source>Mean magnitude of the weights by area</source>
        <translation>Mittlerer Betrag der Gewichte nach Fläche</translation>
    </message>
    <message>
        <source>reading…</source>
        <translation>liest …</translation>
    </message>
    <message>
        <source>Grid of</source>
        <translation>Gitter</translation>
    </message>
    <message>
        <source>Format of the selected site</source>
        <translation>Format der gewählten Stelle</translation>
    </message>
    <message>
        <source>‖W − Ŵ‖² / ‖W‖² with the weights rounded to the nearest point of this grid</source>
        <translation>‖W − Ŵ‖² / ‖W‖² mit den Gewichten auf den nächsten Punkt dieses Gitters gerundet</translation>
    </message>
    <message>
        <source>log counts</source>
        <translation>log</translation>
    </message>
    <message>
        <source>Weights of %1</source>
        <translation>Gewichte von %1</translation>
    </message>
    <message>
        <source>1 output channel</source>
        <translation>1 Ausgangskanal</translation>
    </message>
    <message>
        <source>%1 output channels</source>
        <translation>%1 Ausgangskanäle</translation>
    </message>
    <message>
        <source>mean of %1 × %2 weights a cell</source>
        <translation>Mittel aus %1 × %2 Gewichten je Zelle</translation>
    </message>
    <message>
        <source>  (as %1)</source>
        <translation>  (als %1)</translation>
    </message>
    <message>
        <source>error %1%2</source>
        <translation>Δ %1%2</translation>
    </message>
    <message>
        <source>σ %1   max |w| %2   kurtosis %3   beyond 6σ %4 %</source>
        <translation>σ %1   max |w| %2   Kurtosis %3   über 6σ %4 %</translation>
    </message>
    <message>
        <source>mean %1</source>
        <translation>Mittelwert %1</translation>
    </message>
    <message>
        <source>   NaN %1   infinite %2</source>
        <translation>   NaN %1   unendlich %2</translation>
    </message>
</context>
<context>
    <name>bw::WhatIfPanel</name>
    <message>
        <source>What if</source>
        <translation>Was wäre wenn</translation>
    </message>
    <message>
        <source>predicted from stored statistics, nothing is run</source>
        <translation>aus gespeicherter Statistik vorhergesagt, nichts läuft</translation>
    </message>
    <message>
        <source>What is changed</source>
        <translation>Was sich ändert</translation>
    </message>
    <message>
        <source>nothing moved</source>
        <translation>nichts verschoben</translation>
    </message>
    <message>
        <source>smooth</source>
        <translation>glätten</translation>
    </message>
    <message>
        <source>keep outliers apart</source>
        <translation>Ausreißer trennen</translation>
    </message>
    <message>
        <source>rotate</source>
        <translation>rotieren</translation>
    </message>
    <message>
        <source>SmoothQuant: difficulty moves from the inputs into the weights, by α</source>
        <translation>SmoothQuant: Schwierigkeit wandert um α von den Eingängen in die Gewichte</translation>
    </message>
    <message>
        <source>LLM.int8(): channels with values beyond the threshold stay in 16 bits</source>
        <translation>LLM.int8(): Kanäle mit Werten über der Schwelle bleiben in 16 Bits</translation>
    </message>
    <message>
        <source>Hadamard: channels are mixed so that none stands out</source>
        <translation>Hadamard: Kanäle werden gemischt, bis keiner heraussticht</translation>
    </message>
    <message>
        <source>Strength</source>
        <translation>Stärke</translation>
    </message>
    <message>
        <source>Clip, percent of the largest</source>
        <translation>Kappung, Prozent des Größten</translation>
    </message>
    <message>
        <source>100 % of max</source>
        <translation>100 % vom Max.</translation>
    </message>
    <message>
        <source>clip the range at</source>
        <translation>Bereich kappen bei</translation>
    </message>
    <message>
        <source>error at the outputs</source>
        <translation>Fehler an den Ausgängen</translation>
    </message>
    <message>
        <source>as it is</source>
        <translation>jetzt</translation>
    </message>
    <message>
        <source>after</source>
        <translation>danach</translation>
    </message>
    <message>
        <source>change</source>
        <translation>Änderung</translation>
    </message>
    <message>
        <source>of all sites that read this input: squared, as a share of their output; channels count as uncorrelated</source>
        <translation>aller Stellen, die diesen Eingang lesen: quadriert, als Anteil ihrer Ausgabe; Kanäle gelten als unkorreliert</translation>
    </message>
    <message>
        <source>inputs, 8 bits, one range</source>
        <translation>Eingänge, 8 Bits, ein Bereich</translation>
    </message>
    <message>
        <source>inputs, 8 bits, by token</source>
        <translation>Eingänge, 8 Bits, je Token</translation>
    </message>
    <message>
        <source>inputs, 4 bits, by token</source>
        <translation>Eingänge, 4 Bits, je Token</translation>
    </message>
    <message>
        <source>weights, 8 bits, one grid</source>
        <translation>Gewichte, 8 Bits, ein Gitter</translation>
    </message>
    <message>
        <source>use in recipe</source>
        <translation>ins Rezept</translation>
    </message>
    <message>
        <source>copy as command</source>
        <translation>als Befehl kopieren</translation>
    </message>
    <message>
        <source>%1 % of max</source>
        <translation>%1 % vom Max.</translation>
    </message>
    <message>
        <source>max</source>
        <translation>max</translation>
    </message>
    <message>
        <source>Calibrate, then move the sliders</source>
        <translation>Kalibrieren, dann die Regler bewegen</translation>
    </message>
    <message>
        <source>No statistics of this site</source>
        <translation>Keine Statistik zu dieser Stelle</translation>
    </message>
    <message>
        <source>reading the statistics …</source>
        <translation>liest die Statistik …</translation>
    </message>
    <message>
        <source>max |x| %1 → %2</source>
        <translation>max |x| %1 → %2</translation>
    </message>
    <message>
        <source>outlier channels %1 → %2</source>
        <translation>Ausreißerkanäle %1 → %2</translation>
    </message>
    <message>
        <source>max |x| %1</source>
        <translation>max |x| %1</translation>
    </message>
    <message>
        <source>1 outlier channel</source>
        <translation>1 Ausreißerkanal</translation>
    </message>
    <message>
        <source>%1 outlier channels</source>
        <translation>%1 Ausreißerkanäle</translation>
    </message>
    <message>
        <source>1 channel in 16 bits</source>
        <translation>1 Kanal in 16 Bits</translation>
    </message>
    <message>
        <source>%1 channels in 16 bits</source>
        <translation>%1 Kanäle in 16 Bits</translation>
    </message>
    <message>
        <source>%1 % clipped</source>
        <translation>%1 % gekappt</translation>
    </message>
    <message>
        <source>Transform %1</source>
        <translation>Transformation %1</translation>
    </message>
    <message>
        <source>The recipe&apos;s transform is now %1.</source>
        <translation>Die Transformation des Rezepts ist nun %1.</translation>
    </message>
    <message>
        <source>Copied: %1</source>
        <translation>Kopiert: %1</translation>
    </message>
</context>
<context>
    <name>bw::WhatIfPlot</name>
    <message>
        <source>value, as a share of the range</source>
        <translation>Wert, als Anteil des Bereichs</translation>
    </message>
    <message>
        <source>Values over the range of their grid, before and after</source>
        <translation>Werte über den Bereich ihres Gitters, vorher und nachher</translation>
    </message>
    <message>
        <source>no data</source>
        <translation>keine Daten</translation>
    </message>
</context>
<context>
    <name>fonts</name>
    <message>
        <source>There are no fonts on this machine, so no text can be shown. Install fonts-dejavu-core.</source>
        <translation>Auf diesem Rechner fehlen Schriften, Text lässt sich nicht zeigen. Installieren Sie fonts-dejavu-core.</translation>
    </message>
    <message>
        <source>The system&apos;s fonts are not set up (fontconfig finds none); %1 is used. Install fontconfig-config or unset FONTCONFIG_FILE.</source>
        <translation>Die Schriften des Systems sind nicht eingerichtet (fontconfig findet keine); %1 wird benutzt. Installieren Sie fontconfig-config oder löschen Sie FONTCONFIG_FILE.</translation>
    </message>
</context>
<context>
    <name>main</name>
    <message>
        <source>A workbench for quantizing language models.</source>
        <translation>Eine Werkbank zum Quantisieren von Sprachmodellen.</translation>
    </message>
    <message>
        <source>Experiment log to use (default: the user&apos;s).</source>
        <translation>Versuchsprotokoll (Vorgabe: das persönliche).</translation>
    </message>
    <message>
        <source>model, calibrate, mix, runs or compare.</source>
        <translation>model, calibrate, mix, runs oder compare.</translation>
    </message>
    <message>
        <source>dark, light or system.</source>
        <translation>dark, light oder system.</translation>
    </message>
    <message>
        <source>de, en or system, for this start.</source>
        <translation>de, en oder system, für diesen Start.</translation>
    </message>
    <message>
        <source>Save a picture of the window once it shows its data, then quit.</source>
        <translation>Ein Bild des Fensters speichern, sobald es seine Daten zeigt, dann beenden.</translation>
    </message>
    <message>
        <source>Open the demo model; run its experiments unless the log has them.</source>
        <translation>Das Demo-Modell öffnen; seine Versuche ausführen, wenn sie im Protokoll fehlen.</translation>
    </message>
    <message>
        <source>Checkpoints, texts, recipes or logs to open.</source>
        <translation>Checkpoints, Texte, Rezepte oder Protokolle zum Öffnen.</translation>
    </message>
</context>
</TS>
