// SPDX-License-Identifier: MIT
#include "lib/report/html_page.h"

#include "lib/core/names.h"

namespace qopt::report {
namespace {

constexpr std::string_view kStyle = R"css(
:root{--bg:#fbfbfa;--card:#fff;--ink:#1d2126;--dim:#68707a;--line:#e3e5e8;--before:#9aa5b1;
--after:#1f7a5c;--arena:#3a6ea5;--good:#1f7a5c;--bad:#b3261e;--warn:#9a6700;--band:#3a6ea522}
@media(prefers-color-scheme:dark){:root{--bg:#15181c;--card:#1d2126;--ink:#e6e8ea;--dim:#98a1ab;
--line:#2f353c;--before:#6b7682;--after:#4cc38a;--arena:#6aa5e0;--good:#4cc38a;--bad:#ff8079;
--warn:#e2b340;--band:#6aa5e033}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
header{display:flex;gap:16px;align-items:center;flex-wrap:wrap;justify-content:space-between}
h1{font-size:26px;margin:0;overflow-wrap:anywhere}h2{font-size:18px;margin:0 0 12px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;
margin:18px 0}
h3{font-size:15px;margin:22px 0 4px}summary{cursor:pointer;font-weight:600;margin-top:14px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:18px 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.label{color:var(--dim);font-size:13px}.value{font-size:24px;font-weight:650}
.small,.small *{color:var(--dim);font-size:13px}
table{border-collapse:collapse;width:100%}th,td{padding:6px 10px;border-bottom:1px solid var(--line);
text-align:left;vertical-align:middle;font-variant-numeric:tabular-nums}
thead th{color:var(--dim);font-size:13px;font-weight:600;white-space:nowrap}
tbody th{font-weight:600;overflow-wrap:anywhere;max-width:260px}.num{white-space:nowrap}
.sortable thead th{cursor:pointer}.sortable thead th[data-dir="1"]::after{content:" \2191"}
.sortable thead th[data-dir="-1"]::after{content:" \2193"}
.sortable tbody th{min-width:120px}.badge+.badge{margin-left:6px}
.wide{overflow-x:auto}.wide table{font-size:13.5px}.wide th,.wide td{padding:5px 7px}
.wide thead th{white-space:normal;vertical-align:bottom}.badge{display:inline-block;border-radius:999px;padding:2px 10px;font-size:13px;
font-weight:600;border:1px solid currentColor}.good{color:var(--good)}.bad{color:var(--bad)}
.warn{color:var(--warn)}.plain{color:var(--dim)}.findings{margin:0;padding:0;list-style:none}
.findings li{padding:5px 0;overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(250px,1fr));gap:14px}
figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:8px}
figcaption{font-size:12.5px;color:var(--dim);overflow-wrap:anywhere}figcaption b{color:var(--ink)}
svg{display:block;max-width:100%}svg text{fill:var(--ink);font-size:13px}
svg .dim{fill:var(--dim);font-size:11px}.before{fill:var(--before)}.after{fill:var(--after)}
.arena{fill:var(--arena)}.track{fill:var(--line)}.band{fill:var(--band)}
.heat{fill:var(--arena)}.faint{opacity:.45}.dashed{stroke-dasharray:5 4;stroke-width:1.5}
.dot{fill:var(--card);stroke:var(--dim);stroke-width:1.5}.hollow{fill:var(--card);
stroke:var(--warn);stroke-width:1.5}
.line{stroke:var(--line);fill:none}.mark{stroke:var(--arena);fill:none}
.so-far{stroke:var(--after);fill:none;stroke-width:2}.alone{stroke:var(--before);fill:none;
stroke-width:2}footer{margin-top:24px;overflow-wrap:anywhere}
@media print{body{background:#fff}section,figure{break-inside:avoid}}
)css";

// Sorts a table by the clicked column: numbers by data-key, other cells by their text.
constexpr std::string_view kScript = R"js(
document.querySelectorAll('table.sortable thead th').forEach((head,column)=>{
 head.addEventListener('click',()=>{
  const table=head.closest('table'),body=table.tBodies[0],dir=head.dataset.dir==='1'?-1:1;
  table.querySelectorAll('thead th').forEach(h=>delete h.dataset.dir);head.dataset.dir=dir;
  const key=row=>{const cell=row.cells[column];
   return cell.dataset.key===undefined?cell.textContent:Number(cell.dataset.key)};
  [...body.rows].sort((a,b)=>{const x=key(a),y=key(b);
   return dir*(typeof x==='number'?x-y:x.localeCompare(y))}).forEach(row=>body.append(row))})})
)js";

}  // namespace

std::string html_page(std::string_view title, const std::string& body) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
      "name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><meta name=\"color-scheme\" "
      "content=\"light dark\"><meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
      "'unsafe-inline'\"><title>";
  page += html_escape(title) + " - qopt</title><style>";
  page.append(kStyle).append("</style></head><body><main>\n");
  page += body + "\n</main><script>";
  return page.append(kScript).append("</script></body></html>\n");
}

}  // namespace qopt::report
