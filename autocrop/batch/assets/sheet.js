addEventListener('DOMContentLoaded',()=>{
const $=s=>document.querySelector(s),all=(s,e=document)=>[...e.querySelectorAll(s)];
const cards=all('article'),statuses=new Map(),labels=new Set();
for(const card of cards){
  for(const s of card.dataset.status.split(' '))statuses.set(s,(statuses.get(s)||0)+1);
  for(const l of card.dataset.label.split(' '))if(l)labels.add(l);
  card.text=card.textContent.toLowerCase();
}
$('#count').textContent=cards.length+(cards.length===1?' photo':' photos');
const tools=$('#tools');
for(const [name,n] of statuses){
  const label=document.createElement('label'),input=document.createElement('input');
  input.type='checkbox';input.checked=true;input.name='status';input.value=name;
  label.append(input,name+' ('+n+')');tools.append(label);
}
const select=document.createElement('select');select.id='label';select.setAttribute('aria-label','Kind of crop');
select.append(new Option('all crops',''));for(const l of labels)select.append(new Option(l,l));
if(labels.size>1)tools.append(select);
const search=document.createElement('input');search.type='search';search.id='text';search.placeholder='Filter by text';
search.setAttribute('aria-label','Filter by text');tools.append(search);
function filter(){
  const on=new Set(all('[name=status]').filter(i=>i.checked).map(i=>i.value)),label=select.value;
  const words=search.value.toLowerCase().split(/\s+/).filter(Boolean);let shown=0;
  for(const card of cards){
    const fits=card.dataset.status.split(' ').some(s=>on.has(s))&&(!label||card.dataset.label.split(' ').includes(label))
      &&words.every(w=>card.text.includes(w));
    card.hidden=!fits;shown+=fits;
    const rows=all('li',card),boxes=all('.box',card);let b=0;
    for(const row of rows){
      row.hidden=!!label&&!!row.querySelector('b')&&row.querySelector('b').textContent!==label;
      if(row.dataset.box&&boxes[b])boxes[b++].hidden=row.hidden;
    }
  }
  $('#count').textContent=(shown<cards.length?shown+' of ':'')+cards.length+(cards.length===1?' photo':' photos');
  $('#empty').hidden=shown>0||!cards.length;
}
tools.addEventListener('input',filter);
for(const row of all('li[data-box]')){row.tabIndex=0;row.setAttribute('role','button')}
const dialog=$('dialog');let current=null;
const visible=()=>all('li[data-box]').filter(r=>!r.hidden&&!r.closest('article').hidden);
function sharp(img,src){if(!src)return;const full=new Image();full.onload=()=>{if(img.isConnected)img.src=full.src};full.src=src}
function fitted(frame,w,h){
  const most=innerHeight*(innerWidth<640?.36:.7);
  frame.style.aspectRatio=w+'/'+h;frame.style.width='min(100%,'+Math.round(most*w/h)+'px)';
}
function show(row){
  current=row;const card=row.closest('article'),small=card.querySelector('img');
  const box=row.dataset.box.split(',').map(Number),[W,H]=row.dataset.photo.split(',').map(Number);
  const pad=row.dataset.padding.split(',').map(Number),w=box[2]-box[0],h=box[3]-box[1];
  const left=$('#whole'),right=$('#crop');left.textContent=right.textContent='';
  const whole=document.createElement('img');if(small)whole.src=small.src;whole.alt='The whole photo';left.append(whole);
  sharp(whole,card.dataset.src);fitted(left,W,H);
  const mark=document.createElement('i');mark.className='box '+(row.querySelector('b')?.className||'c0')+
    (row.dataset.shape==='circle'?' circle':'');
  mark.style.cssText='left:'+100*box[0]/W+'%;top:'+100*box[1]/H+'%;width:'+100*w/W+'%;height:'+100*h/H+'%';left.append(mark);
  const cw=w+pad[0]+pad[2],ch=h+pad[1]+pad[3];fitted(right,cw,ch);
  right.className='frame checks'+(row.dataset.shape==='circle'?' circle':'');
  const part=document.createElement('div');
  part.style.cssText='position:absolute;overflow:hidden;left:'+100*pad[0]/cw+'%;top:'+100*pad[1]/ch+'%;width:'+100*w/cw+
    '%;height:'+100*h/ch+'%';
  const cut=document.createElement('img');if(small)cut.src=small.src;cut.alt='The crop';
  cut.style.cssText='position:absolute;inset:auto;left:'+-100*box[0]/w+'%;top:'+-100*box[1]/h+'%;width:'+100*W/w+'%;height:'+
    100*H/h+'%';
  part.append(cut);right.append(part);
  if(row.dataset.out){
    const done=new Image();done.alt='The crop';done.onload=()=>{if(current===row){right.textContent='';right.append(done)}};
    done.src=row.dataset.out;
  }
  $('#about').textContent=card.querySelector('h2').textContent+' — '+row.textContent;
  if(!dialog.open)dialog.showModal();
}
function step(by){const rows=visible(),at=rows.indexOf(current)+by;if(rows[at])show(rows[at])}
document.addEventListener('click',e=>{
  if(e.target.closest('a'))return;
  const row=e.target.closest('li[data-box]')||e.target.closest('.view')?.parentElement.querySelector('li[data-box]:not([hidden])');
  if(row&&!dialog.contains(e.target))show(row);
  else if(e.target===dialog)dialog.close();
});
addEventListener('keydown',e=>{
  if(dialog.open&&e.key==='ArrowRight'){e.preventDefault();step(1)}
  else if(dialog.open&&e.key==='ArrowLeft'){e.preventDefault();step(-1)}
  else if(!dialog.open&&(e.key==='Enter'||e.key===' ')&&e.target.matches('li[data-box]')){e.preventDefault();show(e.target)}
});
$('#back').onclick=()=>step(-1);$('#next').onclick=()=>step(1);$('#close').onclick=()=>dialog.close();
dialog.addEventListener('close',()=>{current?.focus();current?.closest('article').scrollIntoView({block:'nearest'})});
});
