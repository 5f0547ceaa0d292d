"""The page."""

from wws import Response

config = {"auth": "none"}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Chat</title>
<style>
  body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
  #log p { margin: .5rem 0; white-space: pre-wrap } .you { font-weight: 600 }
  form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .5rem }
</style>
<h1>Chat</h1>
<div id="log" aria-live="polite"></div>
<form><input name="text" autocomplete="off" required autofocus><button>Send</button></form>
<script>
const log = document.querySelector("#log"), form = document.querySelector("form"), messages = [];
const line = (text, kind) => {
  const p = document.createElement("p");
  p.textContent = text; p.className = kind; log.append(p);
  return p;
};
form.onsubmit = async (event) => {
  event.preventDefault();
  const text = form.text.value; form.reset();
  messages.push({role: "user", content: text});
  line(text, "you");
  const answer = line("", "them");
  const response = await fetch("/api/chat", {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({messages}),
  });
  if (!response.ok) { answer.textContent = (await response.json()).detail; return; }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "";;) {
    const {done, value} = await reader.read();
    if (done) break;
    const events = (rest + value).split("\\n\\n");
    rest = events.pop();
    for (const one of events) answer.textContent += JSON.parse(one.replace(/^data: /, "")).text || "";
  }
  messages.push({role: "assistant", content: answer.textContent});
};
</script>
</html>
"""


async def get(request, env, ctx):
    return Response.html(PAGE, headers={"cache-control": "public, max-age=300"})
