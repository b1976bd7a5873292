// Sends one message that nodemailer composes: PORT CA USER SECRET FROM TO, over STARTTLS.
const fs = require('fs')
const path = require('path')
const nodemailer = require(path.resolve(process.env.NODE_MODULES, 'nodemailer'))
const [port, ca, user, pass, from, to] = process.argv.slice(2)
const transport = nodemailer.createTransport({
  host: 'localhost', port: Number(port), secure: false, requireTLS: true,
  auth: { user, pass }, tls: { ca: fs.readFileSync(ca) },
})
transport.sendMail({
  from: { name: 'Größe & Söhne', address: from },
  to,
  subject: 'Ihre Bestellung – 注文番号 4111 1111 1111 1111',
  text: 'Karte 4111 1111 1111 1111\n.\n.. dots\n' + 'x'.repeat(1500) + '\n',
  html: '<p>Karte <b>4111&nbsp;1111&nbsp;1111&nbsp;1111</b></p>',
  attachments: [{ filename: 'notes.txt', content: 'plain notes\n' }],
}).then((info) => { console.log(info.response); transport.close() },
  (problem) => { console.error(problem.message); process.exit(1) })
